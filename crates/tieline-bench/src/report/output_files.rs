//! The output files.
//!
//! Opened before the measurement, so that a path that cannot be written fails at once. Existing content
//! stays until there are results; a new file is removed if there are none.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use anyhow::Context;

use crate::usage::Usage;

/// The open output files.
#[derive(Debug)]
pub(crate) struct OutputFiles {
    /// Print JSON to standard output instead of the table.
    pub(crate) print_json: bool,
    pub(super) json: Option<OutputFile>,
    pub(super) html: Option<OutputFile>,
}

/// An open file.
#[derive(Debug)]
pub(super) struct OutputFile {
    path: PathBuf,
    file: File,
    /// The file is new and still empty.
    is_new: bool,
}

impl OutputFiles {
    /// Opens or creates the files; `-` is standard output.
    pub(crate) fn open(json: Option<&Path>, html: Option<&Path>) -> Result<Self, Usage> {
        let is_standard_output = |path: &Path| path.as_os_str() == "-";
        if html.is_some_and(is_standard_output) {
            return Err(Usage("--html needs a file".into()));
        }
        let print_json = json.is_some_and(is_standard_output);
        let files = Self {
            print_json,
            json: json
                .filter(|_| !print_json)
                .map(OutputFile::open)
                .transpose()?,
            html: html.map(OutputFile::open).transpose()?,
        };
        match (&files.json, &files.html) {
            (Some(json), Some(html)) if json.is_same(html) => Err(Usage(format!(
                "--json and --html are both {}; use different files",
                html.path.display()
            ))),
            _ => Ok(files),
        }
    }
}

impl OutputFile {
    fn open(path: &Path) -> Result<Self, Usage> {
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let opened = options.write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(|error| {
            let path = path.display();
            Usage(format!(
                "cannot write {path}: {error}; use a file in an existing folder"
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            is_new,
        })
    }

    /// Whether both are the same regular file; a device may be given twice.
    fn is_same(&self, other: &Self) -> bool {
        match (self.file.metadata(), other.file.metadata()) {
            (Ok(one), Ok(two)) => one.is_file() && (one.dev(), one.ino()) == (two.dev(), two.ino()),
            _ => false,
        }
    }

    pub(super) fn write(&mut self, text: &str) -> anyhow::Result<()> {
        self.is_new = false;
        let mut write = || {
            if self.file.metadata()?.is_file() {
                self.file.set_len(0)?;
            }
            self.file.write_all(text.as_bytes())
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.is_new {
            // An empty file that stays is harmless.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_outputs_need_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("x"), folder.path().join("./x"));
        let said = OutputFiles::open(Some(&one), Some(&two)).unwrap_err().0;
        assert!(said.contains("--json and --html"), "{said}");
        assert!(!one.exists());
        OutputFiles::open(Some(Path::new("/dev/null")), Some(Path::new("/dev/null"))).unwrap();
    }

    #[test]
    fn existing_content_stays_until_there_are_results() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "of last time").unwrap();
        let mut files = OutputFiles::open(Some(&path), None).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "of last time");
        files.json.as_mut().unwrap().write("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let said = OutputFiles::open(Some(folder.path()), None).unwrap_err().0;
        assert!(said.contains("cannot write"), "{said}");
        let standard = OutputFiles::open(None, Some(Path::new("-"))).unwrap_err().0;
        assert!(standard.contains("--html needs a file"), "{standard}");
    }
}
