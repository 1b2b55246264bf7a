"""The figures that the paper published, for tables beside ours: never in the same column, for the data differ.

Source: HarmoVid: Relightful Video Portrait Harmonization (CVPR 2026, arXiv 2605.28811).
"""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "HarmoVid: Relightful Video Portrait Harmonization, CVPR 2026, https://arxiv.org/abs/2605.28811"
DIFFER = ("The data differ: other clips, other tables of colour, another size and other networks behind the measures, "
          "so a published figure and one of ours do not compare; the ratios between rows of one table may.")


@dataclass(frozen=True)
class Published:
    """A table of the paper.

    name: "harmonization", "deflickering" or "ablation". head: headings, those of the row's names first. rows: as
    printed, names first. columns: figures of ours in the table's shape, keys of
    `measures.COLUMNS`; over the person and over the frame where the paper does not say which it took.
    """

    name: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    columns: tuple[str, ...]


HARMONIZATION = Published(
    "harmonization", "Harmonization of real portraits recoloured by tables, as published",
    ("method", "PSNR ↑", "SSIM ↑", "LPIPS ↓", "RMSE ↓", "CLIP score ↑", "motion pres. ↓", "user: temporal ↑",
     "user: identity ↑", "user: harmony ↑"),
    (("IC-Light", "14.77", "0.8889", "0.0828", "0.1881", "0.9895", "1.2928", "56%", "57%", "27%"),
     ("Relightful Harmonization (frame-wise)", "15.89", "0.9301", "0.0581", "0.1643", "0.9907", "1.0021", "36%", "50%",
      "36%"),
     ("RelightVid", "15.70", "0.9214", "0.0707", "0.1711", "0.9946", "0.7096", "35%", "51%", "27%"),
     ("Light-A-Video", "15.64", "0.8900", "0.0791", "0.1716", "0.9955", "0.5775", "56%", "58%", "51%"),
     ("HarmoVid", "17.91", "0.9306", "0.0554", "0.1325", "0.9963", "0.5264", "82%", "78%", "72%")),
    ("foreground_psnr", "frame_psnr", "foreground_ssim", "frame_ssim", "foreground_lpips", "frame_lpips",
     "foreground_rmse", "frame_rmse", "steadiness", "foreground_motion", "frame_motion"))

DEFLICKERING = Published(
    "deflickering", "Deflickering, as published",
    ("input", "method", "CLIP score ↑", "motion pres. ↓"),
    (("frame-wise LUT jitter", "BVD", "0.9950", "0.5114"),
     ("frame-wise LUT jitter", "HarmoVid deflickering", "0.9967", "0.3630"),
     ("frame-wise harmonization", "BVD", "0.9920", "1.3439"),
     ("frame-wise harmonization", "HarmoVid deflickering", "0.9936", "0.5395")),
    ("steadiness", "foreground_motion", "frame_motion", "luminance_jitter"))

ABLATION = Published(
    "ablation", "Ablation, as published (the deflickering network is stage 2, dual-path training stage 3)",
    ("row", "SSIM ↑", "LPIPS ↓", "CLIP score ↑", "motion pres. ↓"),
    (("stage 3 only", "0.9187", "0.0613", "0.9911", "0.9376"),
     ("stage 2 only", "0.9217", "0.0594", "0.9937", "0.5490"),
     ("both", "0.9306", "0.0554", "0.9963", "0.5264")),
    ("foreground_ssim", "frame_ssim", "foreground_lpips", "frame_lpips", "steadiness", "foreground_motion",
     "frame_motion"))

# By row of the ablation, the method whose results are ours: name the folder of results so.
ABLATED = {"stage 3 only": "stage_3_only", "stage 2 only": "stage_2_only", "both": "both"}
