"""What roster data must look like: formats, checks, the issue catalogue, settling. Pure: frames in, frames out."""
