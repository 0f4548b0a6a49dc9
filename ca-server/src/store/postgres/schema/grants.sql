GRANT USAGE ON SCHEMA jit_ssh TO ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA jit_ssh TO ROLE;
-- The log is appended to; what is in it stays as it is. Only its head moves on.
GRANT INSERT ON jit_ssh.audit, jit_ssh.audit_tree TO ROLE;
GRANT INSERT, UPDATE ON jit_ssh.audit_head TO ROLE;
-- Requests and their steps stay as they are, too.
GRANT INSERT, UPDATE (steps, waiting, unreviewed, last_expiry, look_at, reminded) ON jit_ssh.requests TO ROLE;
GRANT INSERT ON jit_ssh.request_steps, jit_ssh.request_words, jit_ssh.request_keys, jit_ssh.nonces_known TO ROLE;
GRANT INSERT, UPDATE ON jit_ssh.latest_identities, jit_ssh.policy_set, jit_ssh.sink_cursors,
    jit_ssh.sink_holders TO ROLE;
GRANT UPDATE ON jit_ssh.revocation_counts TO ROLE;
GRANT INSERT, UPDATE, DELETE ON jit_ssh.sessions, jit_ssh.tokens, jit_ssh.keys, jit_ssh.proofs,
    jit_ssh.memberships, jit_ssh.certificates, jit_ssh.freezes, jit_ssh.nonces, jit_ssh.sink_dead_letters TO ROLE;
