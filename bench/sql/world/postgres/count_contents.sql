-- One row: what a database holds before a world is made in it (counts).
select
    (select count(*) from app.videos) as videos,
    (select count(*) from app.posts) as posts,
    (select count(*) from app.users) as users
