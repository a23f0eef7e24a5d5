//! Files on the move: `sftp`, `scp`, `rsync` and `git`, byte for byte and in the record.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::client::Client;
use e2e::house::{House, by_both_ways};
use e2e::need;
use e2e::process::{Finished, Input, isolate, run};
use e2e::records::Record;
use e2e::samples::write_noise;
use e2e::tools;

const SIZE: usize = 3 << 20;
const LIMIT: Duration = Duration::from_secs(50);

/// Source, its content, and where a copy is to stand.
fn journey(house: &House) -> (String, Vec<u8>, String) {
    let (source, content) = write_noise(&house.room, "source file", SIZE);
    (
        source.display().to_string(),
        content,
        house.path("the copy").display().to_string(),
    )
}

#[track_caller]
fn expect_copy(copy: &str, content: &[u8]) {
    let copied = fs::read(copy).expect("a copied file");
    assert!(
        copied == content,
        "{} of {} bytes",
        copied.len(),
        content.len()
    );
}

/// Through the proxy: the only session used the subsystem or a command, and at least the whole file stands in its log.
#[track_caller]
fn expect_record(house: &House, request: &str, direction: &str, size: usize) {
    let Some(proxy) = &house.proxy else { return };
    let end = proxy.wait_for("session.end");
    let records = proxy.records_of(end.session());
    assert!(
        records.iter().any(|record| record.kind() == request),
        "no {request} record"
    );
    let bytes = Record::data_of(&records, direction).len();
    assert!(
        bytes >= size,
        "only {bytes} bytes of {direction} in the log"
    );
}

#[test]
fn scp_uploads_over_sftp() {
    need!("ssh", "sshd", "scp");
    by_both_ways(|house| {
        let (source, content, copy) = journey(house);
        Client::openssh(&house.door, "scp")
            .arg("-s")
            .to(&source)
            .within(LIMIT)
            .run(&format!("target:{copy}"))
            .expect_code(0);
        expect_copy(&copy, &content);
        expect_record(house, "subsystem", "input", SIZE);
    });
}

#[test]
fn scp_downloads_over_sftp() {
    need!("ssh", "sshd", "scp");
    by_both_ways(|house| {
        let (source, content, copy) = journey(house);
        Client::openssh(&house.door, "scp")
            .to(format!("target:{source}"))
            .within(LIMIT)
            .run(&copy)
            .expect_code(0);
        expect_copy(&copy, &content);
        expect_record(house, "subsystem", "output", SIZE);
    });
}

#[test]
fn scp_uploads_and_downloads_by_its_old_protocol() {
    need!("ssh", "sshd", "scp");
    by_both_ways(|house| {
        // The old protocol hands names to the remote shell, so these are plain.
        let (source, content) = write_noise(&house.room, "source", SIZE);
        let (copy, back) = (house.path("copy"), house.path("back"));
        let scp = Client::openssh(&house.door, "scp").arg("-O").within(LIMIT);
        let remote = format!("target:{}", copy.display());
        scp.clone().to(&source).run(&remote).expect_code(0);
        expect_copy(&copy.display().to_string(), &content);
        expect_record(house, "exec", "input", SIZE);
        scp.to(remote)
            .run(&back.display().to_string())
            .expect_code(0);
        expect_copy(&back.display().to_string(), &content);
    });
}

#[test]
fn scp_copies_a_whole_tree() {
    need!("ssh", "sshd", "scp");
    by_both_ways(|house| {
        let tree = house.path("tree");
        for number in 0..30 {
            let folder = tree.join(format!("folder {}", number % 5));
            fs::create_dir_all(&folder).expect("a folder");
            fs::write(
                folder.join(number.to_string()),
                vec![number; usize::from(number) * 1000],
            )
            .expect("a file");
        }
        let copy = house.path("copy of tree");
        let scp = Client::openssh(&house.door, "scp")
            .arg("-r")
            .to(&tree)
            .within(LIMIT);
        scp.run(&format!("target:{}", copy.display()))
            .expect_code(0);
        expect_same_tree(&tree, &copy);
    });
}

#[test]
fn sftp_puts_gets_lists_and_removes() {
    need!("ssh", "sshd", "sftp");
    by_both_ways(|house| {
        let (source, content, copy) = journey(house);
        let back = format!("{copy} and back");
        let batch = format!(
            "put \"{source}\" \"{copy}\"\nls -l \"{copy}\"\nget \"{copy}\" \"{back}\"\nrename \"{copy}\" \"{copy} renamed\"\nrm \"{copy} renamed\"\n"
        );
        let batch = house.room.write("batch", batch);
        let sftp = Client::openssh(&house.door, "sftp")
            .arg("-b")
            .arg(batch)
            .within(LIMIT);
        let listed = sftp.run("").expect_code(0);
        assert!(listed.out().contains(&SIZE.to_string()), "{listed:?}");
        expect_copy(&back, &content);
        assert!(!Path::new(&format!("{copy} renamed")).exists());
        expect_record(house, "subsystem", "input", SIZE);
    });
}

#[test]
fn rsync_uploads_updates_and_downloads() {
    need!("ssh", "sshd", "rsync");
    by_both_ways(|house| {
        let tree = house.path("tree");
        fs::create_dir(&tree).expect("a folder");
        write_noise(&house.room, "tree/one", 3 << 20);
        write_noise(&house.room, "tree/two", 1 << 20);
        let copy = house.path("copy");
        let rsync = |from: &str, to: &str| {
            let mut command = Command::new(tools::path("rsync"));
            isolate(&mut command);
            command.args(["-a", "--checksum", "-e", &house.door.ssh_line(), from, to]);
            run(&mut command, Input::Nothing, LIMIT).expect_code(0)
        };
        let there = format!("target:{}/", copy.display());
        rsync(&format!("{}/", tree.display()), &there);
        expect_same_tree(&tree, &copy);
        expect_record(house, "exec", "input", 4 << 20);

        // The second time only differences travel: both sides talk at once.
        write_noise(&house.room, "tree/two", (1 << 20) + 777);
        rsync(&format!("{}/", tree.display()), &there);
        expect_same_tree(&tree, &copy);
        let back = house.path("back");
        rsync(&there, &format!("{}/", back.display()));
        expect_same_tree(&tree, &back);
    });
}

#[test]
fn git_clones_fetches_and_pushes() {
    need!("ssh", "sshd", "git");
    by_both_ways(|house| {
        let git = |folder: &Path, arguments: &[&str]| -> Finished {
            let mut command = Command::new(tools::path("git"));
            isolate(&mut command);
            command
                .current_dir(folder)
                .env("GIT_SSH_COMMAND", house.door.ssh_line());
            command
                .env("HOME", &house.door.home)
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .args(arguments);
            run(&mut command, Input::Nothing, LIMIT).expect_code(0)
        };
        let configured = [
            "-c",
            "user.name=Ada",
            "-c",
            "user.email=ada@example.com",
            "-c",
            "init.defaultBranch=main",
        ];
        let source = house.path("source");
        fs::create_dir(&source).expect("a folder");
        git(&source, &[&configured[..], &["init", "-q"]].concat());
        write_noise(&house.room, "source/data", 2 << 20);
        git(&source, &["add", "data"]);
        git(
            &source,
            &[&configured[..], &["commit", "-qm", "First"]].concat(),
        );
        let bare = house.path("bare.git");
        git(
            house.room.folder(),
            &["clone", "-q", "--bare", "source", "bare.git"],
        );

        let clone = house.path("clone");
        git(
            house.room.folder(),
            &[
                "clone",
                "-q",
                &format!("target:{}", bare.display()),
                "clone",
            ],
        );
        expect_copy(
            &clone.join("data").display().to_string(),
            &fs::read(source.join("data")).expect("the data"),
        );
        expect_record(house, "exec", "output", 2 << 20);

        write_noise(&house.room, "clone/more", 2 << 20);
        git(&clone, &["add", "more"]);
        git(
            &clone,
            &[&configured[..], &["commit", "-qm", "Second"]].concat(),
        );
        git(&clone, &["push", "-q", "origin", "main"]);
        let heads = [&clone, &bare].map(|repository| git(repository, &["rev-parse", "main"]).out());
        assert_eq!(heads[0], heads[1]);
        git(&clone, &["fsck", "--strict"]);
    });
}

#[track_caller]
fn expect_same_tree(one: &Path, other: &Path) {
    let mut command = Command::new(tools::path("diff"));
    run(command.arg("-r").arg(one).arg(other), Input::Nothing, LIMIT).expect_code(0);
}
