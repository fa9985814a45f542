"""Content by CID: blocks, files, pins, and the places that hold them."""
