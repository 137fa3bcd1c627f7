//! The embedded default: what runs when there is no file at all.

/// The default document, in which every key is explained.
pub const DOCUMENT: &str = include_str!("../tapster.toml");

/// What messages call it.
pub(crate) const DOCUMENT_NAME: &str = "embedded/tapster.toml";

/// The files that the embedded default refers to, each with its path and content. The daemon writes them to a directory
/// of its own and takes that for the configuration file's.
#[must_use]
pub fn embedded_files() -> &'static [(&'static str, &'static [u8])] {
    &[
        ("example.test.zone", include_bytes!("../default/example.test.zone")),
        ("tftp/boot.ipxe", include_bytes!("../default/tftp/boot.ipxe")),
        ("tftp/hello.txt", include_bytes!("../default/tftp/hello.txt")),
        ("www/index.html", include_bytes!("../default/www/index.html")),
    ]
}
