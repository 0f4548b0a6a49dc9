-- What was granted before and is not named here is taken back.
REVOKE ALL ON ALL TABLES IN SCHEMA jit_ssh FROM ROLE;
GRANT USAGE ON SCHEMA jit_ssh TO ROLE;
GRANT SELECT ON ALL TABLES IN SCHEMA jit_ssh TO ROLE;
-- The log is appended to; what is in it stays as it is. Only its head moves on.
GRANT INSERT ON jit_ssh.audit, jit_ssh.audit_tree TO ROLE;
GRANT INSERT, UPDATE (size, peaks, checkpoint) ON jit_ssh.audit_head TO ROLE;
-- Requests and their steps stay as they are, too.
GRANT INSERT, UPDATE (steps, waiting, unreviewed, last_expiry, look_at, reminded) ON jit_ssh.requests TO ROLE;
GRANT INSERT ON jit_ssh.request_steps, jit_ssh.request_words, jit_ssh.request_keys, jit_ssh.nonces_known TO ROLE;
-- Of the rest nothing changes but what does in the server's own statements: nobody's login becomes another's.
GRANT INSERT, DELETE, UPDATE (used) ON jit_ssh.sessions TO ROLE;
GRANT INSERT, DELETE ON jit_ssh.tokens, jit_ssh.proofs, jit_ssh.memberships, jit_ssh.nonces TO ROLE;
GRANT INSERT, DELETE, UPDATE (proven) ON jit_ssh.keys TO ROLE;
GRANT INSERT, UPDATE (identity, email) ON jit_ssh.latest_identities TO ROLE;
GRANT INSERT, DELETE, UPDATE (owner, issuer, host, policy, under, revoked) ON jit_ssh.certificates TO ROLE;
GRANT INSERT, DELETE, UPDATE (kept) ON jit_ssh.freezes TO ROLE;
GRANT UPDATE (krl, krl_changed, krl_mark, freezes) ON jit_ssh.revocation_counts TO ROLE;
GRANT INSERT, UPDATE (digest, files) ON jit_ssh.policy_set TO ROLE;
GRANT INSERT, UPDATE (next) ON jit_ssh.sink_cursors TO ROLE;
GRANT INSERT, DELETE, UPDATE (letter) ON jit_ssh.sink_dead_letters TO ROLE;
GRANT INSERT, UPDATE (holder, until) ON jit_ssh.sink_holders TO ROLE;
