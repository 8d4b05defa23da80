use super::atomic_file::BUFFER_BYTES;
use super::*;
use std::io::Write;

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_appears_only_when_committed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(b"one").unwrap();
    assert!(!path.exists());
    file.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"one");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn a_dropped_file_leaves_the_old_one_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    write_atomically(&path, b"old").unwrap();
    let mut file = AtomicFile::create(&path).unwrap();
    file.write_all(&vec![b'x'; 3 * BUFFER_BYTES]).unwrap();
    drop(file);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(folder.path()), ["a.txt"]);
}

#[test]
fn a_folder_replaces_the_older_one_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("stage");
    for round in ["first", "second"] {
        let made = AtomicFolder::create(&path).unwrap();
        write_atomically(&made.path().join(round), round.as_bytes()).unwrap();
        made.commit().unwrap();
        assert_eq!(names(&path), [round]);
    }
    assert_eq!(names(&folder.path().join("deep")), ["stage"]);
}

#[test]
fn a_dropped_folder_leaves_the_older_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stage");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("old"), b"").unwrap();
    let made = AtomicFolder::create(&path).unwrap();
    fs::write(made.path().join("new"), b"").unwrap();
    drop(made);
    assert_eq!(names(&path), ["old"]);
    assert_eq!(names(folder.path()), ["stage"]);
}

#[test]
fn leftovers_of_a_killed_run_are_removed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at(".a.csv.Xyz.argn-tmp"), b"").unwrap();
    fs::create_dir_all(at(".stage.Xyz.argn-tmp/deep")).unwrap();
    fs::write(at(".stage.Xyz.argn-tmp/deep/rows"), b"").unwrap();
    fs::write(at(".hidden"), b"").unwrap();
    let living = (
        AtomicFile::create(&at("b.csv")).unwrap(),
        AtomicFolder::create(&at("c")).unwrap(),
    );
    assert_eq!(
        names(folder.path()).len(),
        3,
        "what lives stays, the others went when it began"
    );
    assert_eq!(remove_leftovers(folder.path()).unwrap(), 0);
    living.1.commit().unwrap();
    living.0.commit().unwrap();
    assert_eq!(names(folder.path()), [".hidden", "b.csv", "c"]);
    fs::write(at(".d.Xyz.argn-tmp"), b"").unwrap();
    assert_eq!(remove_leftovers(folder.path()).unwrap(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_is_no_leftover() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("rows"), b"").unwrap();
    std::os::unix::fs::symlink(&precious, folder.path().join(".x.argn-tmp")).unwrap();
    assert_eq!(remove_leftovers(folder.path()).unwrap(), 0);
    assert!(precious.join("rows").exists());
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o7777
}

#[cfg(unix)]
#[test]
fn what_is_replaced_keeps_its_rights_and_owner() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("f");
    fs::write(&file, b"old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let is_superuser = chown(&file, Some(65_534), Some(65_534)).is_ok();
    let before = fs::metadata(&file).unwrap();
    write_atomically(&file, b"new").unwrap();
    let after = fs::metadata(&file).unwrap();
    assert_eq!((fs::read(&file).unwrap(), mode(&file)), (b"new".to_vec(), 0o640));
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_eq!(after.uid() == 65_534, is_superuser);
}

#[cfg(unix)]
#[test]
fn a_private_folder_and_its_files_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows");
    fs::create_dir(&path).unwrap();
    let made = AtomicFolder::create_private(&path).unwrap();
    assert_eq!(mode(made.path()), 0o700, "from the first moment on");
    fs::create_dir(made.path().join("deep")).unwrap();
    write_atomically(&made.path().join("deep/f"), b"").unwrap();
    made.commit().unwrap();
    let modes = ["", "deep", "deep/f"].map(|name| mode(&path.join(name)));
    assert_eq!(modes, [0o700, 0o700, 0o600]);
    assert_eq!(mode(TemporaryFolder::create().unwrap().path()), 0o700);
}

#[cfg(unix)]
#[test]
fn links_to_folders_are_followed_and_removed_with_what_they_lead_to() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let made = AtomicFolder::create(&link).unwrap();
    write_atomically(&made.path().join("f"), b"").unwrap();
    made.commit().unwrap();
    assert!(real.join("f").exists() && fs::symlink_metadata(&link).unwrap().is_symlink());
    remove_folder(&link).unwrap();
    assert_eq!(names(folder.path()), [""; 0]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_yet_is_written_through() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink("sub/new", &link).unwrap();
    write_atomically(&link, b"x").unwrap();
    assert_eq!(fs::read(folder.path().join("sub/new")).unwrap(), b"x");
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
}

#[cfg(unix)]
#[test]
fn new_files_have_ordinary_rights_and_links_stay() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    fs::write(&plain, b"").unwrap();
    let target = folder.path().join("target");
    let link = folder.path().join("link");
    fs::write(&target, b"old").unwrap();
    std::os::unix::fs::symlink(&target, &link).unwrap();
    write_atomically(&link, b"new").unwrap();
    assert_eq!(fs::read(&target).unwrap(), b"new");
    assert!(fs::symlink_metadata(&link).unwrap().file_type().is_symlink());
    assert_eq!(mode(&target), mode(&plain));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_said_and_a_device_is_not_replaced() {
    let error = write_atomically(Path::new("/dev/full"), b"x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/full: the disk is full; free some space or choose another path, then run again"
    );
    assert!(!fs::metadata("/dev/full").unwrap().is_file());
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_nobody_can_write_to_is_said() {
    // Not even the superuser can make files there, so the test holds for everybody.
    let said = AtomicFile::create(Path::new("/sys/t.csv"))
        .unwrap_err()
        .to_string();
    let denied = "/sys: no permission to write to it; change its permissions or choose another path";
    let read_only = "/sys/t.csv: the file system is read-only; choose another path";
    assert!(said == denied || said == read_only, "{said}");
}

#[test]
fn wrong_paths_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let shown = folder.path().display();
    let error = AtomicFile::create(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{shown}: this is a folder; give the path of a file")
    );
    let error = AtomicFile::create(&folder.path().join("no/a.csv")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{shown}/no/a.csv: the folder {shown}/no does not exist; make it first or choose another path"
        )
    );
    let error = open(&folder.path().join("b.csv")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{shown}/b.csv: there is no such file or folder; check the path")
    );
    let error = open(folder.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{shown}: this is a folder; give the path of a file")
    );
    fs::write(folder.path().join("f"), b"").unwrap();
    let error = AtomicFolder::create(&folder.path().join("f")).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{shown}/f: this is a file; give the path of a folder")
    );
}

#[test]
fn errors_of_the_system_have_their_own_words() {
    let said = |kind: io::ErrorKind| FileError::new("f", "write", io::Error::from(kind)).to_string();
    assert_eq!(
        said(io::ErrorKind::PermissionDenied),
        "f: no permission to write it; change its permissions or choose another path"
    );
    assert_eq!(
        said(io::ErrorKind::ReadOnlyFilesystem),
        "f: the file system is read-only; choose another path"
    );
    assert_eq!(
        said(io::ErrorKind::BrokenPipe),
        "f: the reader has closed the pipe"
    );
    assert_eq!(said(io::ErrorKind::TimedOut), "f: cannot write it: timed out");
}
