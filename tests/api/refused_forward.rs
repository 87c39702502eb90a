use crate::{
    manifest::{Place::*, list},
    refused::{check, refused},
};

#[tokio::test]
async fn forward() {
    let at = "spec.destinationRooms";
    check(vec![
        refused(Forward, "destinationRooms: null", at, "Required value"),
        refused(Forward, "destinationRooms: []", at, "at least 1 items"),
        refused(Forward, "destinationRooms: ['']", "spec.destinationRooms[0]", "at least 1 chars long"),
        refused(Forward, "destinationRooms: [a, a]", "spec.destinationRooms[1]", "Duplicate value"),
        refused(Forward, format!("destinationRooms: ['{}']", "é".repeat(129)), at, "at most 256 bytes in UTF-8"),
        refused(
            Forward,
            format!("destinationRooms: {}", list(65, |n| format!("r{n}"))),
            at,
            "must have at most 64 items",
        ),
        refused(
            Forward,
            "{source: {rooms: [{prefix: a}, {exact: stage}]}, destinationRooms: [overflow, stage]}",
            at,
            "remove it from one of the two",
        ),
        refused(Forward, "source: null", "spec.source", "Required value"),
        refused(Forward, "source: {rooms: null}", "spec.source.rooms", "Required value"),
        refused(Forward, "source: {match: {}}", "spec.source.match", "give at least one field"),
        refused(Forward, "source: {except: [{}]}", "spec.source.except[0]", "give at least one field"),
        refused(Forward, "deletionPolicy: Delete", "spec.deletionPolicy", "\"Stop\", \"Retain\""),
        refused(Forward, "mode: Dry", "spec.mode", "\"Enforce\", \"Audit\""),
    ])
    .await;
}

#[tokio::test]
async fn r#move() {
    let at = "spec.destinationRoom";
    check(vec![
        refused(Move, "destinationRoom: null", at, "Required value"),
        refused(Move, "destinationRoom: ''", at, "at least 1 chars long"),
        refused(Move, format!("destinationRoom: '{}'", "é".repeat(129)), at, "at most 256 bytes in UTF-8"),
        refused(Move, "destinationRoom: lobby", at, "choose another for one of the two"),
        refused(Move, "destinationRooms: [a]", "spec.destinationRooms", "unknown field"),
        refused(Move, "deletionPolicy: Stop", "spec.deletionPolicy", "unknown field"),
        refused(
            Move,
            "source: {match: {attributes: [{key: a, absent: true, values: [{exact: a}]}]}}",
            "spec.source.match.attributes[0]",
            "not both",
        ),
    ])
    .await;
}
