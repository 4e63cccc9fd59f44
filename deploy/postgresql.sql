-- Two roles and a database, made once by an administrator:  psql -f postgresql.sql
-- leadintake_owner makes and changes the tables (leadintake migrate). leadintake is what servers and workers are: it
-- reads and writes rows, and can neither change a table nor make one. Passwords are set afterwards (\password).

CREATE ROLE leadintake_owner LOGIN;
CREATE ROLE leadintake LOGIN;
CREATE DATABASE leadintake OWNER leadintake_owner ENCODING 'UTF8' TEMPLATE template0;
REVOKE ALL ON DATABASE leadintake FROM PUBLIC;
GRANT CONNECT ON DATABASE leadintake TO leadintake;

\connect leadintake
REVOKE ALL ON SCHEMA public FROM PUBLIC;
GRANT ALL ON SCHEMA public TO leadintake_owner;
GRANT USAGE ON SCHEMA public TO leadintake;
ALTER DEFAULT PRIVILEGES FOR ROLE leadintake_owner IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO leadintake;
ALTER DEFAULT PRIVILEGES FOR ROLE leadintake_owner IN SCHEMA public
    GRANT USAGE ON SEQUENCES TO leadintake;
