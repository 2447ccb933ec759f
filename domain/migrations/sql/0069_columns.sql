drop function events_take_in(text, timestamptz, jsonb);
