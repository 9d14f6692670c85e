"""The tables of the SQLite catalog; numbered, because another number means: make it anew."""

VERSION = 8

TABLES = """
CREATE TABLE state (
    part INTEGER NOT NULL, "offset" INTEGER NOT NULL, chain BLOB NOT NULL, checkpoints INTEGER NOT NULL
);
CREATE TABLE account (
    name TEXT PRIMARY KEY, protocol TEXT NOT NULL, url TEXT NOT NULL, security TEXT NOT NULL,
    last_run INTEGER, complete_run INTEGER
) WITHOUT ROWID;
CREATE TABLE mailbox (
    number INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    parts TEXT NOT NULL,
    delimiter TEXT,
    raw BLOB NOT NULL,
    special_use TEXT NOT NULL,
    uidvalidity INTEGER,
    present INTEGER NOT NULL,
    cursor_uidvalidity INTEGER, uidnext INTEGER, highestmodseq INTEGER, messages INTEGER,
    since TEXT,
    excluded INTEGER NOT NULL DEFAULT 0,
    last_run INTEGER,
    placed INTEGER NOT NULL DEFAULT 0 -- how many placements are present
);
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    header BLOB NOT NULL,
    size INTEGER NOT NULL,
    block INTEGER NOT NULL, "offset" INTEGER NOT NULL, length INTEGER NOT NULL,
    eol TEXT NOT NULL, final INTEGER NOT NULL,
    form BLOB, form_size INTEGER,
    lost INTEGER NOT NULL DEFAULT 0 -- 1: damaged in its place, 2: its place is no more
);
CREATE INDEX message_digest ON message (substr(digest, 1, 8));
CREATE TABLE flag_set (id INTEGER PRIMARY KEY, flags TEXT NOT NULL UNIQUE);
CREATE TABLE placement (
    mailbox INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uid NOT NULL,
    message INTEGER NOT NULL,
    epoch INTEGER, zone INTEGER,
    flag_set INTEGER NOT NULL,
    account_id TEXT, thread_id TEXT, labels TEXT, said_size INTEGER NOT NULL, by TEXT,
    run INTEGER NOT NULL,
    gone_run INTEGER,
    PRIMARY KEY (mailbox, uidvalidity, uid)
) WITHOUT ROWID;
CREATE TABLE placement_past (
    mailbox INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uid NOT NULL,
    message INTEGER NOT NULL,
    epoch INTEGER, zone INTEGER,
    labels TEXT,
    run INTEGER NOT NULL,
    gone_run INTEGER NOT NULL
); -- placements that began anew later
CREATE TABLE download (
    run INTEGER NOT NULL, mailbox INTEGER NOT NULL, octets INTEGER NOT NULL,
    PRIMARY KEY (run, mailbox)
) WITHOUT ROWID;
CREATE TABLE flag_change (
    mailbox INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uid NOT NULL, run INTEGER NOT NULL,
    before INTEGER NOT NULL
);
CREATE TABLE mailbox_change (
    mailbox INTEGER NOT NULL, run INTEGER NOT NULL,
    parts TEXT NOT NULL, uidvalidity INTEGER, present INTEGER NOT NULL -- from this run on
);
CREATE TABLE failure (
    mailbox INTEGER NOT NULL, uidvalidity INTEGER NOT NULL, uid NOT NULL,
    why TEXT NOT NULL, tries INTEGER NOT NULL, last_run INTEGER NOT NULL,
    PRIMARY KEY (mailbox, uidvalidity, uid)
) WITHOUT ROWID;
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    segment INTEGER NOT NULL, "offset" INTEGER NOT NULL, length INTEGER NOT NULL, size INTEGER NOT NULL
);
CREATE TABLE run (
    number INTEGER PRIMARY KEY,
    command TEXT NOT NULL, program TEXT NOT NULL, began TEXT NOT NULL,
    ended TEXT, exit_code INTEGER, totals TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE target (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL, protocol TEXT NOT NULL, url TEXT NOT NULL, security TEXT NOT NULL
);
CREATE TABLE target_mailbox (
    box INTEGER PRIMARY KEY,
    target INTEGER NOT NULL,
    raw BLOB NOT NULL,
    delimiter TEXT,
    uidvalidity INTEGER, uidnext INTEGER
);
CREATE TABLE restored (
    id INTEGER PRIMARY KEY,
    box INTEGER NOT NULL, message INTEGER NOT NULL, uid INTEGER,
    how TEXT, -- 'sending': it is not known whether it arrived
    run INTEGER NOT NULL
);
CREATE INDEX restored_doubt ON restored (box, message) WHERE how = 'sending';
CREATE TABLE upload (
    run INTEGER NOT NULL, box INTEGER NOT NULL, octets INTEGER NOT NULL,
    PRIMARY KEY (run, box)
) WITHOUT ROWID;
"""
"""What the journal is folded into. Of a digest only the beginning is in an index, which is a third of the size."""

INDEXES = """
CREATE INDEX message_block ON message (block, "offset");
CREATE INDEX message_header ON message (substr(header, 1, 6));
CREATE INDEX message_form ON message (substr(form, 1, 6)) WHERE form IS NOT NULL;
CREATE INDEX message_form_size ON message (form_size) WHERE form IS NOT NULL;
CREATE INDEX message_lost ON message (lost) WHERE lost;
CREATE INDEX placement_message ON placement (message);
CREATE INDEX placement_account_id ON placement (account_id) WHERE account_id IS NOT NULL;
CREATE INDEX placement_looks ON placement (said_size, epoch);
CREATE INDEX placement_imported ON placement (said_size) WHERE by = 'import';
CREATE INDEX block_segment ON block (segment, "offset");
CREATE INDEX flag_change_placement ON flag_change (mailbox, uidvalidity, uid, run);
CREATE INDEX placement_past_mailbox ON placement_past (mailbox);
CREATE INDEX restored_box ON restored (box);
"""
"""What only queries need: quicker to make when a whole journal has been folded than to keep up meanwhile."""

DIGEST_IS = "substr(digest, 1, 8) = substr(?1, 1, 8) AND digest = ?1"
"""Finds a message by the digest that is the first parameter of the statement."""
