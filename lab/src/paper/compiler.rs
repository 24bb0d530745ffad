//! Typst's compiler within the program, with fonts of its own: none of the machine, so that a report is the same everywhere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex};

use typst::diag::{FileError, FileResult, SourceDiagnostic};
use typst::foundations::{Bytes, Datetime, Duration};
use typst::syntax::{FileId, RootedPath, Source, VirtualPath, VirtualRoot};
use typst::text::{Font, FontBook};
use typst::utils::{LazyHash, Scalar};
use typst::{Library, LibraryExt, World};
use typst_layout::PagedDocument;
use typst_pdf::PdfOptions;
use typst_render::RenderOptions;

use super::{DOTS_PER_INCH, Form};
use crate::error::LabError;

/// Points per inch.
const POINTS: f64 = 72.0;

/// The largest file that a source reads, in bytes.
const LARGEST: u64 = 1 << 30;

/// The stack of the thread that compiles: nested layout goes deep.
const STACK: usize = 64 << 20;

/// What a source becomes.
pub(super) fn made(source: &Path, form: Form) -> Result<Vec<u8>, LabError> {
    let failed = |said: String| LabError::Typst { file: source.to_owned(), said };
    let compiled = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread.spawn_scoped(scope, || compiled(source, form));
        let thread = thread.map_err(|error| error.to_string())?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    // What it remembers is of no use to another document.
    typst::comemo::evict(0);
    compiled.map_err(failed)
}

/// As [`made`], or the first thing that is wrong.
fn compiled(source: &Path, form: Form) -> Result<Vec<u8>, String> {
    let said = |errors: &[SourceDiagnostic]| {
        errors.first().map_or_else(|| "it does not say why".into(), |error| error.message.to_string())
    };
    let folder = Folder::of(source).map_err(|error| error.to_string())?;
    let document = typst::compile::<PagedDocument>(&folder).output.map_err(|errors| said(&errors))?;
    match form {
        Form::Pdf => typst_pdf::pdf(&document, &PdfOptions::default()).map_err(|errors| said(&errors)),
        Form::Png => {
            let page = document.pages().first().ok_or("it has no page")?;
            let options = RenderOptions {
                pixel_per_pt: Scalar::new(f64::from(DOTS_PER_INCH) / POINTS),
                ..RenderOptions::default()
            };
            typst_render::render(page, &options).encode_png().map_err(|error| error.to_string())
        }
    }
}

/// The fonts: that of text, and those that the program writes in pictures with, which have what the first lacks. There is none for
/// equations: no source of ours has one.
static FONTS: LazyLock<(LazyHash<FontBook>, Vec<Font>)> = LazyLock::new(|| {
    let files: [&'static [u8]; 7] = [
        include_bytes!("../../fonts/LibertinusSerif-Regular.otf"),
        include_bytes!("../../fonts/LibertinusSerif-Bold.otf"),
        include_bytes!("../../fonts/LibertinusSerif-Italic.otf"),
        include_bytes!("../../fonts/LibertinusSerif-BoldItalic.otf"),
        dejavu::sans::regular(),
        dejavu::sans::bold(),
        dejavu::sans_mono::regular(),
    ];
    let fonts: Vec<Font> = files.into_iter().flat_map(|file| Font::iter(Bytes::new(file))).collect();
    (LazyHash::new(FontBook::from_fonts(&fonts)), fonts)
});

/// The folder of a source, and what was read of it.
struct Folder {
    path: PathBuf,
    library: LazyHash<Library>,
    main: Source,
    read: Mutex<HashMap<FileId, FileResult<Bytes>>>,
}

impl Folder {
    fn of(source: &Path) -> FileResult<Self> {
        let path = source.parent().unwrap_or(Path::new("")).to_owned();
        let name = source.file_name().and_then(|name| name.to_str()).ok_or(FileError::NotSource)?;
        let place = VirtualPath::new(name).map_err(|_| FileError::NotSource)?;
        let id = RootedPath::new(VirtualRoot::Project, place).intern();
        let bytes = read(source)?;
        let text = std::str::from_utf8(&bytes)?.to_owned();
        Ok(Self {
            path,
            library: LazyHash::new(Library::default()),
            main: Source::new(id, text),
            read: Mutex::default(),
        })
    }
}

fn read(path: &Path) -> FileResult<Bytes> {
    let bytes = archaeo_store::read_bytes(path, LARGEST).map_err(|error| FileError::from_io(error, path))?;
    Ok(Bytes::new(bytes))
}

impl World for Folder {
    fn library(&self) -> &LazyHash<Library> {
        &self.library
    }

    fn book(&self) -> &LazyHash<FontBook> {
        &FONTS.0
    }

    fn main(&self) -> FileId {
        self.main.id()
    }

    fn source(&self, id: FileId) -> FileResult<Source> {
        if id == self.main.id() {
            return Ok(self.main.clone());
        }
        let bytes = self.file(id)?;
        Ok(Source::new(id, std::str::from_utf8(&bytes)?.to_owned()))
    }

    fn file(&self, id: FileId) -> FileResult<Bytes> {
        let of = id.get();
        // Packages come from a network, and no source of ours names one.
        if *of.root() != VirtualRoot::Project {
            return Err(FileError::AccessDenied);
        }
        let mut known = self.read.lock().expect("reading does not panic");
        let found = || read(&of.vpath().realize(&self.path).map_err(FileError::Realize)?);
        known.entry(id).or_insert_with(found).clone()
    }

    fn font(&self, index: usize) -> Option<Font> {
        FONTS.1.get(index).cloned()
    }

    /// No document says when it was set.
    fn today(&self, _offset: Option<Duration>) -> Option<Datetime> {
        None
    }
}
