"""The layout `mbox`: messages as entries of blocks, which become frames of segments."""
