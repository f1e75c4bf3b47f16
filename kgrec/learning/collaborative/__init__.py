"""The collaborative agent: light graph convolution with items as histories."""
