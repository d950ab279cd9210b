"""The method's stages joined (paper, Figure 2), and a finished run as a folder."""
