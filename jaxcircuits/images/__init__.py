"""Pictures: reading and encoding them, sheets, video."""

from jaxcircuits.images.pictures import Batch, Picture, Pictures
from jaxcircuits.images.reading import open_pictures
from jaxcircuits.images.sheet import contact_sheet, to_image
from jaxcircuits.images.sources import Scenes
from jaxcircuits.images.video import save_video

__all__ = ["Batch", "Picture", "Pictures", "Scenes", "contact_sheet", "open_pictures", "save_video", "to_image"]
