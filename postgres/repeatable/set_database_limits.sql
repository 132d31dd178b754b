-- A session that forgets its open transaction holds the horizon of change capture back: nothing
-- written after it lands. The server ends such a session; the client reconnects.
do $$
begin
    execute format(
        'alter database %I set idle_in_transaction_session_timeout = %L',
        current_database(),
        '60s'
    );
end;
$$;
