"""What an evaluation leaves behind: figures, score and key files, pictures, report, model card."""
