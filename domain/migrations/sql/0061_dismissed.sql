-- Who dismissed an event left its phone where it was; every other settled event had lost it.
update commerce_event e set payload = (e.payload #- '{buyer,phone}') #- '{identities,phone}'
 where e.reason like 'dismissed: %' and (e.payload -> 'buyer' ? 'phone' or e.payload -> 'identities' ? 'phone')
   and not exists (select from commerce_open o where o.id = e.id);
