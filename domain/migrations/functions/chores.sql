-- Recurring work.

-- Those of ``names`` that find something to do at ``moment`` (business time), asked before any is begun: nearly always
-- none does. Each question is what the chore itself asks first, or wider, never narrower; rules that are files of the
-- shop (how long a ticket stays open) are not asked for. What is not named here is always wanted, and so are, by
-- name: what runs once a day, what writes down that it looked, and what asks too much for a question before it.
create or replace function chores_wanted(names text[], moment timestamptz) returns text[] language plpgsql stable
set plan_cache_mode = force_generic_plan set enable_seqscan = off as $$
declare
    one text;
    found boolean;
    wanted text[] := '{}';
begin
    foreach one in array names loop
        case one
        when 'programme.refresh' then
            found := exists (select from order_news)
                or exists (select from programme_stale where look_at is null or look_at <= moment);
        when 'insight.refresh' then
            found := exists (select from order_news) or exists (select from insight_stale);
        when 'risk.scan' then
            found := exists (select from order_news) or exists (select from risk_queue);
        when 'milestones.tend' then
            found := exists (select from order_news) or exists (select from milestone_due)
                or exists (select from milestone where state = 'provisional' and check_at <= moment);
        when 'payouts.drive' then
            found := exists (select from transfer_bill where due_at <= moment);
        when 'notices.broadcast' then
            found := exists (select from notice_broadcast where state = 'running');
        when 'audit.seal' then
            found := exists (select from audit_event
                              where id > (select coalesce(max(event_id), 0) from audit_seal));
        when 'month.tell' then
            found := exists (select from month_close
                              where closed_at is not null and told_upto < 9223372036854775807);
        when 'payouts.recall' then
            found := exists (
                select from account_hold h join withdrawal w on w.person_id = h.person_id
                 where h.lifted_at is null and w.state in ('asked', 'approved', 'paying') and w.cancel_asked_at is null);
        when 'staff.tasks' then
            found := exists (select from staff_task where state in ('gathering', 'asking', 'asked'));
        when 'month.late' then
            found := exists (select from settlement_late l join month_close c on c.month = l.month
                              where c.closed_at is not null);
        when 'people.recall' then
            found := coalesce((select max(id) from identity), 0) > coalesce((select upto from recall_place), -1);
        when 'points.turn' then
            found := exists (select from point_lot where state = 'pending' and active_at <= moment)
                or exists (select from point_lot where state = 'active' and expires_at <= moment);
        when 'programme.turn' then
            found := exists (
                select from reward r where r.state = 'provisional' and r.final_at <= moment
                   and not exists (select from account_hold h where h.person_id = r.person_id and h.lifted_at is null)
                   and not exists (select from programme_stale s where s.person_id = r.buyer_id and s.look_at > moment));
        when 'risk.settle' then
            found := exists (select from risk_case) or exists (select from account_hold where lifted_at is null)
                or exists (select from commission_line where held_at is not null);
        when 'journeys.settle' then
            found := exists (select from journey where state = 'draining')
                or exists (select from journey_event where state = 'done' and heard_at < moment - interval '90 days')
                or exists (select from journey j join enrolment_due d on d.journey_id = j.id and d.due_at < moment);
        when 'approvals.expire' then
            found := exists (select from approval where state = 'open' and expires_at <= moment);
        when 'helpdesk.settle' then
            found := exists (select from ticket where state = 'open' and waits_for = 'person');
        when 'month.close' then
            found := exists (select from month_close where closed_at is null)
                or (select month_start((max(month) + interval '2 months')::date) <= moment from month_close)
                or not exists (select from month_close)
                   and exists (select from customer_order where paid_at < month_start(shop_month(moment)));
        when 'month.release' then
            found := exists (
                select from settlement s where s.held_fen > 0 and s.release_at <= moment
                   and not exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null)
            ) or exists (
                select from service_act s
                 where s.released_at is null and s.revoked_at is null and s.release_at <= moment
                   and not exists (select from account_hold h where h.person_id = s.person_id and h.lifted_at is null));
        when 'risk.sweep' then
            found := exists (select from risk_watch);
        when 'pay.reconcile' then
            found := exists (select from transfer_bill);
        when 'coupons.expire' then
            found := exists (select from coupon where state = 'issued' and valid_until <= moment);
        when 'experiments.tend' then
            found := exists (select from experiment where state = 'running');
        when 'roles.confirm' then
            found := exists (select from role_grant where revoked_at is null and confirmed_at is null);
        when 'roles.assess' then
            found := not exists (select from role_assessment where ended_at is not null
                                    and month = (shop_month(moment) - interval '1 month')::date);
        when 'shots.tidy' then
            found := exists (select from shot where state in ('draft', 'approved'));
        when 'insight.turn' then
            found := exists (select from person_insight where look_again_at <= moment);
        when 'points.warn' then
            found := exists (select from point_lot where state = 'active' and expires_at > moment);
        when 'occasions.birthdays', 'occasions.friends', 'occasions.at_risk', 'occasions.best' then
            found := exists (select from journey where state not in ('draft', 'archived'));
        when 'books.full', 'books.recent', 'contacts.followers', 'contacts.unknown', 'draws.turn', 'people.erase',
             'programme.birthdays', 'roles.invite' then
            found := true;
        else  -- a chore of a program newer than this function
            found := true;
        end case;
        if found then
            wanted := wanted || one;
        end if;
    end loop;
    return wanted;
end $$;
