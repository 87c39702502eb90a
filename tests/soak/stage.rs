//! LiveKit, the operator, the folder it reads, and the people.

use std::path::PathBuf;

use fastrand::Rng;
use tempfile::TempDir;
use usher_testkit::{free_port, scratch};

use crate::{declared::Declared, operator::Operator, people::People, server::Server};

pub struct Stage {
    // Before the server, which it would find gone.
    pub operator: Operator,
    pub server: Server,
    pub people: People,
    pub declared: Declared,
    pub random: Rng,
    pub cycle: u64,
    folder: TempDir,
}

impl Stage {
    /// Everything is there, and nobody.
    pub async fn set(program: PathBuf) -> Self {
        let port = free_port();
        let server = Server::start(format!("http://127.0.0.1:{port}/webhooks/default/main"));
        let (folder, declared) = (scratch("manifests"), Declared::new());
        declared.write(folder.path(), &server.url());
        let operator = Operator::start(&program, folder.path(), port).await;
        let (people, random) = (People::default(), Rng::with_seed(1));
        Self { operator, server, people, declared, random, cycle: 0, folder }
    }

    /// Somebody edits the manifests, each time in another way.
    pub fn edit(&mut self, number: usize) {
        let declared = &mut self.declared;
        match number {
            0 => declared.row = Some(self.cycle),
            1 => declared.guests_publish = !declared.guests_publish,
            2 => declared.banned = false,
            3 => declared.forwards = false,
            4 => declared.timeout_ms = if declared.timeout_ms == 2000 { 2100 } else { 2000 },
            5 => return self.break_row(),
            6 => declared.row = None,
            7 => declared.moves = false,
            8 => (declared.banned, declared.forwards, declared.moves) = (true, true, true),
            _ => declared.row = Some(self.cycle + 1),
        }
        self.write();
    }

    /// The manifests as they are declared, mended where they were broken.
    pub fn write(&self) {
        self.declared.write(self.folder.path(), &self.server.url());
    }

    fn break_row(&self) {
        std::fs::write(self.folder.path().join("row.yaml"), "kind: RoomPolicy\nspec: {rooms: [").expect("it can be");
    }
}
