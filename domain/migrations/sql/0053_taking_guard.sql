create trigger point_taking_allowed before insert on point_taking
    for each row execute function point_taking_allowed();
