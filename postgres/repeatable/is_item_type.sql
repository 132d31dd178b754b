-- is_item_type(text): the kinds of items there are.
create or replace function app.is_item_type(p_text text)
returns boolean
language sql
immutable
parallel safe
return p_text in ('video', 'post');

comment on function app.is_item_type(text) is 'Whether a text is video or post.';
