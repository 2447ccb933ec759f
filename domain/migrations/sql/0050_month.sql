-- A close with fewer looks at what it knows. See ADR 0060.

-- Kinds and expenses come once a call now, and each row says which.
drop function ledger_earn(text[], text[], text[], bigint[], bigint[], bigint[], text, text, timestamptz, timestamptz);
