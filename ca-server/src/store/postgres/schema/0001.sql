-- Text is compared byte by byte, as the other backends do. Whatever a stranger may have written is bytea.

-- The audit log. Rows are only ever added to the first two.
CREATE TABLE jit_ssh.audit (
    idx bigint PRIMARY KEY CHECK (idx >= 0),
    entry bytea NOT NULL
);
CREATE TABLE jit_ssh.audit_tree (
    place bigint PRIMARY KEY CHECK (place >= 0),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
);
-- One row: how many entries there are, the right edge of the tree over them, and the checkpoint that signs both. Whoever
-- appends changes it, so all that is appended has one order whoever appends it.
CREATE TABLE jit_ssh.audit_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    size bigint NOT NULL CHECK (size >= 0),
    peaks bytea[] NOT NULL,
    checkpoint text NOT NULL
);

CREATE TABLE jit_ssh.sessions (
    id text COLLATE "C" PRIMARY KEY,
    owner bytea NOT NULL,
    started bigint NOT NULL,
    expires bigint NOT NULL,
    used bigint NOT NULL,
    session bytea NOT NULL
);
CREATE INDEX sessions_by_owner ON jit_ssh.sessions (owner, started, id);
CREATE INDEX sessions_by_end ON jit_ssh.sessions (expires, id);
CREATE TABLE jit_ssh.tokens (
    digest bytea PRIMARY KEY,
    forget bigint NOT NULL
);
CREATE INDEX tokens_by_time ON jit_ssh.tokens (forget);
CREATE TABLE jit_ssh.keys (
    key bytea PRIMARY KEY,
    owner bytea NOT NULL,
    proven bigint NOT NULL
);
CREATE INDEX keys_by_time ON jit_ssh.keys (proven);
CREATE TABLE jit_ssh.proofs (
    session text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    PRIMARY KEY (session, key)
);
CREATE TABLE jit_ssh.latest_identities (
    owner bytea PRIMARY KEY,
    issuer bytea NOT NULL,
    subject bytea NOT NULL,
    email bytea,
    identity bytea NOT NULL
);
CREATE INDEX latest_identities_by_issuer ON jit_ssh.latest_identities (issuer);
CREATE INDEX latest_identities_by_subject ON jit_ssh.latest_identities (subject);
CREATE INDEX latest_identities_by_email ON jit_ssh.latest_identities (email);
-- The groups of the latest login, and since when each is known.
CREATE TABLE jit_ssh.memberships (
    owner bytea NOT NULL,
    name bytea NOT NULL,
    since bigint NOT NULL,
    PRIMARY KEY (owner, name)
);

-- A request never changes; beside it stands what follows from its steps.
CREATE TABLE jit_ssh.requests (
    id text COLLATE "C" PRIMARY KEY,
    owner bytea NOT NULL,
    filed bigint NOT NULL,
    expires bigint NOT NULL,
    extends text COLLATE "C",
    request bytea NOT NULL,
    steps integer NOT NULL DEFAULT 0,
    waiting boolean NOT NULL DEFAULT true,
    unreviewed boolean NOT NULL DEFAULT false,
    last_expiry bigint,
    -- When to look at it next; nothing once it is put away.
    look_at bigint,
    reminded boolean NOT NULL DEFAULT false
);
CREATE INDEX requests_to_look_at ON jit_ssh.requests (look_at, id) WHERE look_at IS NOT NULL;
CREATE INDEX requests_by_time ON jit_ssh.requests (filed, id);
CREATE INDEX requests_by_requester ON jit_ssh.requests (owner, filed, id);
CREATE INDEX requests_waiting ON jit_ssh.requests (filed, id) WHERE waiting;
CREATE INDEX requests_unreviewed ON jit_ssh.requests (filed, id) WHERE unreviewed;
CREATE INDEX requests_by_prolonged ON jit_ssh.requests (extends, filed, id) WHERE extends IS NOT NULL;
-- What requests are found by.
CREATE TABLE jit_ssh.request_words (
    word bytea NOT NULL,
    filed bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (word, filed, id)
);
CREATE TABLE jit_ssh.request_steps (
    request text COLLATE "C" NOT NULL,
    place integer NOT NULL CHECK (place >= 0),
    step bytea NOT NULL,
    PRIMARY KEY (request, place)
);
CREATE TABLE jit_ssh.request_keys (
    owner bytea NOT NULL,
    key bytea NOT NULL,
    body bytea NOT NULL,
    request text COLLATE "C" NOT NULL,
    PRIMARY KEY (owner, key)
);

-- Certificates that live, and for a while after; issuer, holder and names as digests or bytes.
CREATE TABLE jit_ssh.certificates (
    expires bigint NOT NULL,
    serial bigint NOT NULL,
    owner bytea NOT NULL,
    issuer bytea NOT NULL,
    host bytea NOT NULL,
    policy bytea NOT NULL,
    under text COLLATE "C" NOT NULL,
    revoked boolean NOT NULL DEFAULT false,
    PRIMARY KEY (expires, serial)
);
CREATE INDEX certificates_by_grant ON jit_ssh.certificates (under);
CREATE INDEX certificates_revoked ON jit_ssh.certificates (serial) WHERE revoked;
CREATE TABLE jit_ssh.freezes (
    id text COLLATE "C" PRIMARY KEY,
    kept bytea NOT NULL
);
-- One row: how often the KRL changed, when it last did and what no other change has, and how often anything about freezes
-- did. The mark tells a change from one of the same number that a standby which took over did not have.
CREATE TABLE jit_ssh.revocation_counts (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    krl bigint NOT NULL,
    krl_changed bigint NOT NULL,
    krl_mark uuid NOT NULL DEFAULT gen_random_uuid(),
    freezes bigint NOT NULL
);
INSERT INTO jit_ssh.revocation_counts (krl, krl_changed, freezes) VALUES (0, 0, 0);

-- The policy set that was recorded last: at most one row.
CREATE TABLE jit_ssh.policy_set (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    digest bytea NOT NULL,
    files bytea NOT NULL
);

CREATE TABLE jit_ssh.sink_cursors (
    sink bytea PRIMARY KEY,
    next bigint NOT NULL
);
CREATE TABLE jit_ssh.sink_dead_letters (
    sink bytea NOT NULL,
    idx bigint NOT NULL,
    letter bytea NOT NULL,
    PRIMARY KEY (sink, idx)
);

-- Which server delivers for a sink.
CREATE UNLOGGED TABLE jit_ssh.sink_holders (
    sink bytea PRIMARY KEY,
    holder bytea NOT NULL,
    until timestamptz NOT NULL
);

-- Signed requests that some server took. Not logged, for the sake of speed: after a crash or on a standby that took over
-- both tables are empty, and then nothing from before is taken.
CREATE UNLOGGED TABLE jit_ssh.nonces (
    nonce bytea PRIMARY KEY,
    forget_ms bigint NOT NULL
);
CREATE INDEX nonces_by_time ON jit_ssh.nonces (forget_ms);
CREATE UNLOGGED TABLE jit_ssh.nonces_known (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    since_ms bigint NOT NULL
);
-- From the beginning on: no server took anything before there was this table, but those that refuse what is older than they.
INSERT INTO jit_ssh.nonces_known (since_ms) VALUES (0);
