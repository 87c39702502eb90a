//! The cases, by what they are about.

mod listing;
mod permissions;
mod requests;
mod rooms;
mod tokens;
mod tracks;
mod transfers;
mod updates;

use crate::case::Case;

pub fn all() -> Vec<Case> {
    [
        tokens::cases(),
        requests::cases(),
        rooms::cases(),
        listing::cases(),
        updates::cases(),
        permissions::cases(),
        tracks::cases(),
        transfers::cases(),
    ]
    .concat()
}
