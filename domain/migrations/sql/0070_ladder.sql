-- It gets what the brackets below bring, and is a function of another kind. See ADR 0076.
drop function ladder_fen(bigint, boolean, bigint[], bigint[]);
