"""Make images from repositories."""
