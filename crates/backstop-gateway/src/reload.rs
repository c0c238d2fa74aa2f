//! Watches the config file, and goes on by what it says now.

use std::time::Duration;

use tokio::{
    task::{self, JoinHandle},
    time,
};

use crate::{config::Files, gateway::Gateway};

/// How often the files are looked at. Looking is cheap, and works for every kind of file system and
/// for files that are replaced by links, which notifications don't.
const EVERY: Duration = Duration::from_millis(500);

/// Watches until it is dropped.
#[derive(Debug)]
#[must_use = "watching ends when this is dropped"]
pub struct Watching {
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reloads `gateway` whenever the contents change of the file that its config came from, or of one
/// that it names for a key or a certificate; or when a SIGHUP comes. What is wrong is refused and
/// logged, and the gateway goes on as it was.
///
/// They are compared with what was in them when a config was last read from them, so that no change
/// is missed, however soon after that it comes.
pub fn watch(gateway: Gateway) -> Watching {
    Watching {
        task: tokio::spawn(async move {
            if gateway.running().config.file.is_none() {
                return;
            }
            let mut told = Hangups::new();
            let mut seen = None;
            loop {
                let asked = tokio::select! {
                    () = time::sleep(EVERY) => false,
                    () = told.next() => true,
                };
                let changed = changed(&gateway).await;
                // A file that is being written may be half there, and one that is being replaced
                // away for a moment: what is taken over was found so twice.
                if asked || changed.is_some() && changed == seen {
                    // The gateway logs what came of it.
                    let _ = gateway.reload_file();
                }
                seen = changed;
            }
        }),
    }
}

/// What is in the files now, where that is not what a config was last read from.
async fn changed(gateway: &Gateway) -> Option<Files> {
    let read = gateway.files();
    let looked = task::spawn_blocking(move || {
        let now = read.now();
        (now != read).then_some(now)
    });
    // It doesn't panic; a runtime that is going down looks no more.
    looked.await.ok().flatten()
}

/// SIGHUPs, where there are any.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            if signal.recv().await.is_some() {
                return;
            }
        }
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use tempfile::TempDir;

    use super::*;
    use crate::config::Config;

    /// Long enough for a change to be found, and found again.
    const LONG: Duration = EVERY.saturating_mul(4);

    /// A config and its keys, in a directory of their own.
    struct Place(TempDir);

    impl Place {
        /// With a config for one model, by a key in this file.
        fn new(model: &str, key_file: &str) -> Self {
            let place = Self(tempfile::tempdir().expect("can be made"));
            place.configure(model, key_file);
            place
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).expect("can be written");
        }

        fn remove(&self, name: &str) {
            fs::remove_file(self.path(name)).expect("can be removed");
        }

        fn configure(&self, model: &str, key_file: &str) {
            let toml = format!(
                "[providers.openai]\ndialect = \"openai\"\napi_key = \"${{file:{}}}\"\n\
                 [models.{model}]\ncandidates = [\"openai:gpt-5.5\"]\n",
                self.path(key_file).display(),
            );
            self.write("backstop.toml", &toml);
        }

        fn load(&self) -> Config {
            Config::load(&self.path("backstop.toml")).expect("is right")
        }

        fn start(&self) -> (Gateway, Watching) {
            let gateway = Gateway::new(self.load()).expect("can be made");
            let watching = watch(gateway.clone());
            (gateway, watching)
        }
    }

    /// The model and the key of what is running.
    fn running(gateway: &Gateway) -> (String, String) {
        let config = &gateway.running().config;
        let model = config.models.keys().next().expect("there is one").clone();
        let key = config.providers["openai"].api_keys[0].expose().to_owned();
        (model, key)
    }

    fn is(model: &str, key: &str) -> (String, String) {
        (model.to_owned(), key.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_between_the_reading_and_the_first_look_is_noticed() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let config = place.load();
        place.write("key", "new");
        let gateway = Gateway::new(config).expect("can be made");
        place.configure("second", "key");
        let _watching = watch(gateway.clone());
        assert_eq!(running(&gateway), is("first", "old"));
        time::sleep(LONG).await;
        assert_eq!(running(&gateway), is("second", "new"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_again_by_hand_is_not_read_once_more() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let (gateway, _watching) = place.start();
        place.write("key", "new");
        gateway.reload_file().expect("is right");
        let before = gateway.running();
        assert_eq!(running(&gateway), is("first", "new"));
        time::sleep(LONG).await;
        assert!(std::sync::Arc::ptr_eq(&before, &gateway.running()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_comes_after_the_config_that_names_it_is_noticed() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let (gateway, _watching) = place.start();
        place.configure("second", "other");
        time::sleep(LONG).await;
        assert_eq!(running(&gateway), is("first", "old"));
        let refusal = gateway.reload_error().expect("the key is not there yet");
        assert!(refusal.contains("other, which can't be read"), "{refusal}");
        place.write("other", "new");
        time::sleep(LONG).await;
        assert_eq!(running(&gateway), is("second", "new"));
        assert_eq!(gateway.reload_error(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_may_go_together_with_the_config_that_names_it() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let (gateway, _watching) = place.start();
        place.remove("key");
        place.write("other", "new");
        place.configure("second", "other");
        time::sleep(LONG).await;
        assert_eq!(running(&gateway), is("second", "new"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_forgotten_when_the_old_text_is_back() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let (gateway, _watching) = place.start();
        place.write("backstop.toml", "nonsense");
        time::sleep(LONG).await;
        assert!(gateway.reload_error().is_some());
        place.configure("first", "key");
        time::sleep(LONG).await;
        assert_eq!(gateway.reload_error(), None);
        assert_eq!(running(&gateway), is("first", "old"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_away_for_a_moment_is_no_change_and_one_that_stays_away_is() {
        let place = Place::new("first", "key");
        place.write("key", "old");
        let (gateway, _watching) = place.start();
        // Between two looks, so that there is one in each of the times below, and no more.
        time::sleep(EVERY / 2).await;
        for half in [None, Some(""), Some("ol")] {
            place.remove("key");
            if let Some(half) = half {
                place.write("key", half);
            }
            time::sleep(EVERY).await;
            place.write("key", "old");
            time::sleep(LONG).await;
            assert_eq!(gateway.reload_error(), None);
            assert_eq!(running(&gateway), is("first", "old"));
        }
        place.remove("key");
        time::sleep(LONG).await;
        assert!(gateway.reload_error().is_some());
        assert_eq!(running(&gateway), is("first", "old"));
    }

    #[cfg(unix)]
    #[tokio::test(start_paused = true)]
    async fn a_directory_whose_link_is_swapped_is_noticed() {
        use std::os::unix::fs::symlink;

        let place = Place::new("first", "key");
        for (version, key) in [("v1", "old"), ("v2", "new")] {
            fs::create_dir(place.path(version)).expect("can be made");
            place.write(&format!("{version}/key"), key);
        }
        symlink("v1", place.path("..data")).expect("can be made");
        symlink("..data/key", place.path("key")).expect("can be made");
        let (gateway, _watching) = place.start();
        assert_eq!(running(&gateway), is("first", "old"));
        symlink("v2", place.path("..data_tmp")).expect("can be made");
        fs::rename(place.path("..data_tmp"), place.path("..data")).expect("can be renamed");
        time::sleep(LONG).await;
        assert_eq!(running(&gateway), is("first", "new"));
    }
}
