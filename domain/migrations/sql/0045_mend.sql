-- What an operator added for the author when a picture was declined: 我的投稿 says it as long as it says the refusal.
alter table shot add column said text not null default '';
alter table shot add constraint ck_shot_said check (char_length(said) <= 200 and (said = '' or state = 'declined'));
