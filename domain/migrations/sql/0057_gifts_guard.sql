create trigger gift_taking_allowed before insert or update on gift_taking
    for each row execute function gift_taking_allowed();
