-- What needs two people, a case or a reason is refused to plain SQL, too.

-- An approval begins open: one that is born approved was decided by nobody.
create trigger approval_begins before insert on approval for each row
    when (new.state <> 'open') execute function refuse_change();

-- A large sum leaves with two people's yes. Asked when it is committed: the yes and what it does are written together.
create constraint trigger withdrawal_two_people after update of state on withdrawal deferrable initially deferred
    for each row when (old.state = 'asked' and new.state not in ('asked', 'rejected', 'cancelled') and new.two_people)
    execute function withdrawal_two_people();
-- An erasure may empty what is otherwise fixed, and nothing else.
create trigger withdrawal_erased after update on withdrawal for each row
    when ((new.openid <> old.openid and new.openid <> '') or (new.remark <> old.remark and new.remark <> '')
          or (new.id, new.no, new.account, new.app_id, new.gross_fen, new.tax_method, new.plan_version, new.two_people,
              new.asked_at) is distinct from (old.id, old.no, old.account, old.app_id, old.gross_fen, old.tax_method,
                                              old.plan_version, old.two_people, old.asked_at))
    execute function refuse_change();
create trigger risk_step_erased after update on risk_step for each row
    when ((new.words <> old.words and new.words <> '')
          or (new.id, new.case_id, new.at, new.actor, new.what, new.facts)
             is distinct from (old.id, old.case_id, old.at, old.actor, old.what, old.facts))
    execute function refuse_change();

-- A freeze ends with its case, or in a merge whose other half is frozen.
create constraint trigger account_hold_lifted after update of lifted_at, cause, since on account_hold
    deferrable initially deferred for each row
    when (new.lifted_at is distinct from old.lifted_at or new.cause <> old.cause or new.since <> old.since)
    execute function account_hold_lifted();
create constraint trigger account_hold_moves after update on account_hold deferrable initially deferred for each row
    when (new.person_id <> old.person_id) execute function moves_by_merge('person_id');

-- What is promised stays as it was promised.
create trigger coupon_fixed before update of code, key, kind, title, off_fen, min_spend_fen, pay_bps, max_off_fen,
    valid_from on coupon for each statement execute function refuse_change();
create trigger role_grant_fixed before update of role, cause_kind, cause_key on role_grant
    for each statement execute function refuse_change();
create trigger commission_boost_fixed before update of bps, starts_at, cause, granted_at on commission_boost
    for each statement execute function refuse_change();
-- What was lost and is opened again is another reward, its next turn: perhaps for somebody else.
create trigger reward_fixed before update of what, amount on reward for each row
    when (new.turn = old.turn and (new.what, new.amount) is distinct from (old.what, old.amount))
    execute function refuse_change();
drop trigger reward_moves on reward;
create constraint trigger reward_moves after update on reward deferrable initially deferred for each row
    when (new.person_id <> old.person_id and new.turn = old.turn) execute function moves_by_merge('person_id');
create trigger referral_fixed before update of source, bound_at, first_until, protected_until on referral
    for each statement execute function refuse_change();
create constraint trigger referral_moves after update on referral deferrable initially deferred for each row
    when (new.referee_id <> old.referee_id or new.referrer_id <> old.referrer_id)
    execute function moves_by_merge('referee_id', 'referrer_id');

-- Nobody's balance may fall below another floor than the one it began with.
create trigger balance_floor_fixed before update of floor on balance for each statement execute function refuse_change();
create trigger balance_ceases after update of ceased on balance for each row
    when (old.ceased and not new.ceased) execute function refuse_change();
