-- Feedback and its adoption; tickets of the helpdesk and the shop's answers.

create table feedback (
    id bigint generated always as identity constraint pk_feedback primary key,
    person_id bigint not null constraint fk_feedback_person_id references person (id),
    words text not null,
    photos jsonb not null default '[]',
    filed_at timestamptz not null,
    state text not null default 'new',
    read_at timestamptz,
    adoptions bigint not null default 0,
    adopted_at timestamptz,
    adopted_by text not null default '',
    outcome text not null default '',
    thanked_at timestamptz,
    answers bigint not null default 0,
    answered_at timestamptz,
    answered_by text not null default '',
    answer text not null default '',
    constraint ck_feedback_words check (char_length(words) between 1 and 2000),
    constraint ck_feedback_state check (state in ('new', 'read', 'adopted')),
    constraint ck_feedback_adopted check ((state = 'adopted') = (adopted_at is not null)
        and (adopted_at is null) = (adopted_by = '') and (adopted_at is null or adoptions > 0)),
    constraint ck_feedback_thanked check (thanked_at is null or adoptions > 0),
    constraint ck_feedback_answered check ((answers = 0) = (answered_at is null) and (answers = 0) = (answered_by = ''))
);
create index ix_feedback_person_id_filed_at on feedback (person_id, filed_at);
create index ix_feedback_state_id on feedback (state, id);

-- An author is thanked once for each feedback, whatever is taken back and adopted again.
create function feedback_thanked_once() returns trigger language plpgsql as $$
begin
    raise exception 'the author of feedback % was thanked at %', old.id, old.thanked_at using errcode = 'HT403';
end $$;
create trigger feedback_thanked_once before update of thanked_at on feedback for each row
    when (old.thanked_at is not null and new.thanked_at is distinct from old.thanked_at)
    execute function feedback_thanked_once();
