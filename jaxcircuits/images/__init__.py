"""Pictures: reading and encoding them, sheets, video."""

from jaxcircuits.images.sheet import contact_sheet, to_image
from jaxcircuits.images.video import save_video

__all__ = ["contact_sheet", "save_video", "to_image"]
