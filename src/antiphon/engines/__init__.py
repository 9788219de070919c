"""What runs exported models, one engine per file. Nothing here needs the code of a model."""
