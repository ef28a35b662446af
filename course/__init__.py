"""What the lessons import beside torchnlp: plots, attention heads to click on, exercises that check themselves."""
