"""The page: uploads and the microphone, judged behind a small web server."""
