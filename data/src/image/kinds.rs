//! Classifies a file by its first bytes and extension: a supported image, an unsupported image, or something else.

/// File extensions of supported images, in lower case. A file without one of them may also be an image, by its first bytes.
pub(crate) const IMAGE_ENDINGS: &[&str] = &[
    "apng", "bmp", "dib", "gif", "jfi", "jfif", "jif", "jpe", "jpeg", "jpg", "mpo", "pbm", "pgm", "pjp",
    "pjpeg", "png", "pnm", "ppm", "tif", "tiff", "webp",
];

/// File extensions of unsupported images, with the names of their formats.
const UNDECODABLE_ENDINGS: &[(&str, &[&str])] = &[
    ("AVIF", &["avif", "avifs"]),
    ("HEIC", &["heic", "heics", "heif", "heifs", "hif"]),
    ("JPEG 2000", &["j2c", "j2k", "jp2", "jpc", "jpf", "jpg2", "jpm", "jpx", "mj2"]),
    ("JPEG XL", &["jxl"]),
    ("JPEG XR", &["hdp", "jxr", "wdp"]),
    ("JPEG-LS", &["jls"]),
    ("Photoshop", &["psb", "psd"]),
    ("GIMP", &["xcf"]),
    ("SVG", &["svg", "svgz"]),
    ("PostScript", &["eps", "epsf", "epsi", "ps"]),
    ("Windows metafile", &["emf", "wmf"]),
    ("DICOM", &["dcm", "dicom"]),
    ("NIfTI", &["nii", "nii.gz"]),
    ("NRRD", &["nhdr", "nrrd"]),
    ("MetaImage", &["mha", "mhd"]),
    ("MINC", &["mnc"]),
    ("FITS", &["fit", "fits", "fts"]),
    ("OpenEXR", &["exr"]),
    ("Radiance HDR", &["hdr", "rgbe"]),
    ("portable float map", &["pfm"]),
    ("portable arbitrary map", &["pam"]),
    ("icon", &["cur", "icns", "ico"]),
    ("Targa", &["icb", "tga", "tpic", "vda", "vst"]),
    ("PCX", &["dcx", "pcx"]),
    ("DirectDraw surface", &["dds"]),
    ("GPU texture", &["ktx", "ktx2"]),
    ("QOI", &["qoi"]),
    ("SGI", &["bw", "rgb", "rgba", "sgi"]),
    ("Sun raster", &["ras"]),
    ("X bitmap", &["xbm", "xpm"]),
    ("farbfeld", &["ff"]),
    ("FLIF", &["flif"]),
    ("BPG", &["bpg"]),
    ("camera raw", RAW_ENDINGS),
    ("whole-slide image", SLIDE_ENDINGS),
    ("microscope image", &["czi", "lif", "lsm", "nd2", "oib", "oif"]),
];

/// Files of cameras and slide scanners often start like a TIFF whose first page is a thumbnail, so the extension decides.
const RAW_ENDINGS: &[&str] = &[
    "3fr", "arw", "cr2", "cr3", "crw", "dcr", "dng", "erf", "fff", "iiq", "k25", "kdc", "mef", "mos", "mrw",
    "nef", "nrw", "orf", "pef", "raf", "rw2", "rwl", "sr2", "srf", "srw", "x3f",
];
const SLIDE_ENDINGS: &[&str] = &["bif", "mrxs", "ndpi", "scn", "svs", "svslide", "vms"];

/// Whether `head`, the first bytes of a file (32 are enough), begins a supported image. If the file name is known, ask
/// [`undecodable_kind`] first: raw camera files start like a TIFF.
pub(crate) fn looks_like_image(head: &[u8]) -> bool {
    Kind::of(head).is_some()
}

/// The format of an unsupported image, by the first bytes of its file (512 are enough) or else by its file extension, with or
/// without the dot, in any case; both may be empty. `None` for a supported image, whatever its name, and for other files.
pub(crate) fn undecodable_kind(head: &[u8], ending: &str) -> Option<&'static str> {
    let ending = ending.trim_start_matches('.').to_ascii_lowercase();
    let by_ending = || {
        let entry = UNDECODABLE_ENDINGS.iter().find(|(_, endings)| endings.contains(&ending.as_str()));
        entry.map(|(kind, _)| *kind)
    };
    if let Some(kind) = undecodable_content(head) {
        return Some(kind);
    }
    match Kind::of(head) {
        Some(Kind::Tiff)
            if RAW_ENDINGS.contains(&ending.as_str()) || SLIDE_ENDINGS.contains(&ending.as_str()) =>
        {
            by_ending()
        }
        Some(_) => None,
        None => by_ending(),
    }
}

/// The supported formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Png,
    Jpeg,
    Gif,
    Bmp,
    Tiff,
    WebP,
    /// PBM, PGM or PPM, in text or binary.
    Pnm,
}

impl Kind {
    /// The format that `head` begins with.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let begins = |magic: &[u8]| head.starts_with(magic);
        if begins(b"\x89PNG\r\n\x1A\n") {
            Some(Kind::Png)
        } else if begins(b"\xFF\xD8\xFF") && head.get(3) != Some(&0xF7) {
            Some(Kind::Jpeg)
        } else if begins(b"GIF87a") || begins(b"GIF89a") {
            Some(Kind::Gif)
        } else if begins(b"BM") && is_bitmap(head) {
            Some(Kind::Bmp)
        } else if (begins(b"II*\0") || begins(b"MM\0*") || begins(b"II+\0") || begins(b"MM\0+"))
            && head.get(8..10) != Some(b"CR")
        {
            Some(Kind::Tiff)
        } else if begins(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            Some(Kind::WebP)
        } else if is_portable_map(head) {
            Some(Kind::Pnm)
        } else {
            None
        }
    }
}

/// Two letters are too few to identify a bitmap: the size of a known header must follow.
fn is_bitmap(head: &[u8]) -> bool {
    const HEADERS: [u32; 7] = [12, 40, 52, 56, 64, 108, 124];
    let size = head.get(14..18).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    size.is_some_and(|size| HEADERS.contains(&size))
}

/// `P1` to `P6`, white space, and then a number or a comment.
fn is_portable_map(head: &[u8]) -> bool {
    let [b'P', b'1'..=b'6', rest @ ..] = head else { return false };
    let text = rest.trim_ascii_start();
    text.len() < rest.len() && text.first().is_some_and(|byte| byte.is_ascii_digit() || *byte == b'#')
        || rest.first() == Some(&b'#')
}

/// By the first bytes alone.
fn undecodable_content(head: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| head.starts_with(magic);
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(4, b"ftyp") {
        // The brand and those that it is compatible with.
        let length = u32::from_be_bytes(head[..4].try_into().ok()?) as usize;
        let (brands, _) = head.get(8..length.clamp(8, head.len())).unwrap_or_default().as_chunks::<4>();
        return match brands.first()? {
            b"avif" | b"avis" => Some("AVIF"),
            b"crx " => Some("camera raw"),
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" => Some("HEIC"),
            b"mif1" | b"msf1" if brands.contains(b"avif") => Some("AVIF"),
            b"mif1" | b"msf1" => Some("HEIC"),
            _ => None,
        };
    }
    const MAGIC: &[(usize, &[u8], &str)] = &[
        (0, b"\0\0\0\x0CjP  \r\n\x87\n", "JPEG 2000"),
        (0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
        (0, b"\0\0\0\x0CJXL \r\n\x87\n", "JPEG XL"),
        (0, b"\xFF\x0A", "JPEG XL"),
        (0, b"II\xBC\x01", "JPEG XR"),
        (0, b"\xFF\xD8\xFF\xF7", "JPEG-LS"),
        (0, b"8BPS", "Photoshop"),
        (0, b"gimp xcf", "GIMP"),
        (0, b"%!PS", "PostScript"),
        (0, b"\xC5\xD0\xD3\xC6", "PostScript"),
        (128, b"DICM", "DICOM"),
        (344, b"n+1\0", "NIfTI"),
        (344, b"ni1\0", "NIfTI"),
        (4, b"n+2\0\r\n\x1A\n", "NIfTI"),
        (0, b"NRRD000", "NRRD"),
        (0, b"SIMPLE  =", "FITS"),
        (0, b"\x76\x2F\x31\x01", "OpenEXR"),
        (0, b"#?RADIANCE", "Radiance HDR"),
        (0, b"#?RGBE", "Radiance HDR"),
        (0, b"PF\n", "portable float map"),
        (0, b"Pf\n", "portable float map"),
        (0, b"P7\n", "portable arbitrary map"),
        (0, b"\0\0\x01\0", "icon"),
        (0, b"\0\0\x02\0", "icon"),
        (0, b"icns", "icon"),
        (0, b"DDS ", "DirectDraw surface"),
        (0, b"\xABKTX ", "GPU texture"),
        (0, b"qoif", "QOI"),
        (0, b"farbfeld", "farbfeld"),
        (0, b"FLIF", "FLIF"),
        (0, b"BPG\xFB", "BPG"),
        (8, b"CR\x02\0", "camera raw"),
        (6, b"HEAPCCDR", "camera raw"),
        (0, b"IIRO", "camera raw"),
        (0, b"IIRS", "camera raw"),
        (0, b"MMOR", "camera raw"),
        (0, b"IIU\0", "camera raw"),
        (0, b"FUJIFILMCCD-RAW", "camera raw"),
        (0, b"FOVb", "camera raw"),
        (0, b"ZISRAWFILE", "microscope image"),
    ];
    if let Some((_, _, kind)) = MAGIC.iter().find(|(offset, magic, _)| at(*offset, magic)) {
        return Some(kind);
    }
    // A vector graphic is text: a tag at its start, or after a declaration and comments.
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii_start();
    let tag = text.windows(4).any(|window| window == b"<svg");
    let declared =
        [&b"<svg"[..], b"<?xml", b"<!--", b"<!DOCTYPE svg"].iter().any(|start| text.starts_with(start));
    (tag && declared || begins(b"<!DOCTYPE svg")).then_some("SVG")
}
