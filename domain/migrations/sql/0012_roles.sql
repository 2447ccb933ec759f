-- Promotion and demotion, certificates, invitations, badges.
select 1;
