"""What an evaluation writes: figures, score and key files, pictures, report, model card."""
