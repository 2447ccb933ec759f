-- The claim asks first whether any boost runs at all (ADR 0064).
create index ix_commission_boost_ends_at on commission_boost (ends_at);
