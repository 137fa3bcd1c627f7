use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn name(text: &str) -> Wanted {
    Wanted { directory: None, name: Name::parse(text.as_bytes(), true).unwrap() }
}

fn root(directory: &tempfile::TempDir) -> Root {
    Root { path: directory.path().join("root"), of_client: None, case_insensitive: false }
}

/// A directory with a secret, and beside it the root with a few things in it.
fn tree() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root");
    fs::create_dir_all(root.join("Boot/X64")).unwrap();
    fs::write(directory.path().join("secret"), "secret").unwrap();
    fs::write(root.join("boot.img"), "image").unwrap();
    fs::write(root.join("Boot/X64/Loader.efi"), "loader").unwrap();
    symlink("boot.img", root.join("inside")).unwrap();
    symlink("../secret", root.join("outside")).unwrap();
    symlink("/etc/passwd", root.join("absolute")).unwrap();
    symlink("/", root.join("top")).unwrap();
    directory
}

fn content(file: &DiskFile) -> Vec<u8> {
    file.read_blocking(0, 100).unwrap()
}

#[test]
fn files_beneath_the_root() {
    let directory = tree();
    let root = root(&directory);
    assert_eq!(content(&open(&root, &name("boot.img")).unwrap()), b"image");
    assert_eq!(content(&open(&root, &name("/inside")).unwrap()), b"image");
    assert_eq!(open(&root, &name("Boot/X64/Loader.efi")).unwrap().stamp.size, 6);
}

#[test]
fn no_link_leads_out() {
    let directory = tree();
    for out in ["outside", "absolute", "top/etc/passwd"] {
        assert_eq!(open(&root(&directory), &name(out)).unwrap_err(), FileError::Denied, "{out}");
    }
}

#[test]
fn what_is_no_regular_file() {
    let directory = tree();
    let root = root(&directory);
    rustix::fs::mknodat(rustix::fs::CWD, root.path.join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert_eq!(open(&root, &name("Boot")).unwrap_err(), FileError::NotRegular);
    assert_eq!(open(&root, &name("fifo")).unwrap_err(), FileError::NotRegular);
    assert_eq!(open(&root, &name("nothing")).unwrap_err(), FileError::NotFound);
    assert_eq!(open(&root, &name("boot.img/x")).unwrap_err(), FileError::NotFound);
    assert_eq!(open(&root, &name(&"x".repeat(300))).unwrap_err(), FileError::NotFound);
}

#[test]
fn another_case() {
    let directory = tree();
    let exact = root(&directory);
    let any = Root { case_insensitive: true, ..exact.clone() };
    let wanted = name("BOOT/x64/LOADER.EFI");
    assert_eq!(open(&exact, &wanted).unwrap_err(), FileError::NotFound);
    assert_eq!(content(&open(&any, &wanted).unwrap()), b"loader");
    assert_eq!(open(&any, &name("BOOT/x64/nothing")).unwrap_err(), FileError::NotFound);
    // The name as it is written goes first, and then the order of bytes.
    fs::write(any.path.join("BOOT.IMG"), "capitals").unwrap();
    assert_eq!(content(&open(&any, &name("boot.img")).unwrap()), b"image");
    assert_eq!(content(&open(&any, &name("Boot.Img")).unwrap()), b"capitals");
}

#[test]
fn one_open_file_for_all() {
    let directory = tree();
    let root = root(&directory);
    let (mut cache, now) = (Cache::new(2), Instant::now());
    let image = name("boot.img");
    assert!(cache.get(&image, now).is_none());
    let first = cache.insert(image.clone(), open(&root, &image).unwrap(), now);
    assert!(Arc::ptr_eq(&first, &cache.get(&image, now).unwrap()));
    // A second look at the path finds the same file, and keeps the old descriptor.
    assert!(cache.get(&image, now + TRUSTED_FOR).is_none());
    assert!(Arc::ptr_eq(&first, &cache.insert(image.clone(), open(&root, &image).unwrap(), now)));
}

#[test]
fn a_changed_file_is_opened_anew() {
    let directory = tree();
    let root = root(&directory);
    let now = Instant::now();
    let image = name("boot.img");
    let path = root.path.join("boot.img");
    let changes: [&dyn Fn(); 4] = [
        &|| fs::write(&path, "longer than before").unwrap(),
        &|| {
            fs::write(root.path.join("new"), "image").unwrap();
            fs::rename(root.path.join("new"), &path).unwrap();
        },
        &|| {
            fs::rename(&path, root.path.join("old")).unwrap();
            fs::write(&path, "image").unwrap();
        },
        &|| fs::remove_file(&path).unwrap(),
    ];
    for change in changes {
        let mut cache = Cache::new(2);
        cache.insert(image.clone(), open(&root, &image).unwrap(), now);
        change();
        assert!(cache.get(&image, now).is_none());
    }
}

#[test]
fn the_cache_is_bounded_and_empties_itself() {
    let directory = tree();
    let root = root(&directory);
    let (mut cache, now) = (Cache::new(2), Instant::now());
    for (age, file) in ["boot.img", "inside", "Boot/X64/Loader.efi"].into_iter().enumerate() {
        let at = now + Duration::from_millis(age as u64);
        cache.insert(name(file), open(&root, &name(file)).unwrap(), at);
    }
    assert_eq!(cache.files.len(), 2);
    assert!(cache.get(&name("boot.img"), now).is_none());
    cache.purge(cache.purge_at().unwrap() + Duration::from_secs(1));
    assert_eq!((cache.files.len(), cache.purge_at()), (0, None));
}

#[test]
fn a_client_has_a_directory_for_itself() {
    let directory = tree();
    let root = root(&directory);
    fs::write(root.path.join("Boot/boot.img"), "own").unwrap();
    let wanted = |own: &str| Wanted { directory: Some(own.into()), ..name("boot.img") };
    assert_eq!(content(&open(&root, &wanted("Boot")).unwrap()), b"own");
    assert_eq!(content(&open(&root, &wanted("nobody")).unwrap()), b"image", "the root, where it has none");
    assert_eq!(open(&root, &wanted("top")).unwrap_err(), FileError::Denied);
    assert_eq!(
        open(&root, &Wanted { directory: Some("Boot".into()), ..name("inside") }).unwrap_err(),
        FileError::NotFound
    );
}

#[test]
fn a_generated_file_reads_as_one_on_the_disk() {
    let file = OpenFile::Generated(Box::from(*b"0123456789"));
    let (mut one, mut two) = ([0; 4], [0; 4]);
    let read = file.read_now(&mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)], 3);
    assert_eq!((read, &one, &two[..3]), (ReadNow::Bytes(7), b"3456", &b"789"[..]));
    assert_eq!(file.read_now(&mut [IoSliceMut::new(&mut one)], 10), ReadNow::Bytes(0));
    assert_eq!(file.read_blocking(8, 100).unwrap(), b"89");
    assert_eq!(file.size(), 10);
}
