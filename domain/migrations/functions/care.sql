-- What customers bring, and what ended stays ended.

-- An author is thanked once for each feedback, whatever is taken back and adopted again.
create or replace function feedback_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'the author of feedback % was thanked at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;

-- A ticket that was closed stays closed.
create or replace function ticket_stays_closed() returns trigger language plpgsql as $$
begin
    raise exception 'ticket % was closed at %', old.id, old.closed_at using errcode = 'HT403';
end $$;

-- A word is rewarded once, however often it is replaced, passed over and picked again.
create or replace function topic_word_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'word % was thanked for at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;

-- What is over stays over, and nothing is shown around that was not allowed and looked at.
create or replace function shot_moves() returns trigger language plpgsql as $$
begin
    if (old.state, new.state) not in (('draft', 'waiting'), ('draft', 'withdrawn'), ('waiting', 'approved'),
        ('waiting', 'declined'), ('waiting', 'withdrawn'), ('approved', 'withdrawn'), ('approved', 'retired')) then
        raise exception 'shot % is %, not %', old.id, old.state, new.state using errcode = 'HT403';
    end if;
    return new;
end $$;

-- A picture's author is thanked once.
create or replace function shot_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'the author of shot % was thanked at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;
