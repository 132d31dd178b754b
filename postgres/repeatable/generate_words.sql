-- generate_words(kind): vocabulary of the generated world. `%s` in a title stands for its subject.
create or replace function app.generate_words(p_kind text)
returns text[]
language sql
immutable
as $$
    select case p_kind
        when 'title' then array[
            'Nobody told me this about %s', 'Trying %s so you don''t have to', '%s, but slower',
            'I did %s every day for a month', 'The honest truth about %s', 'POV: %s',
            'How I got better at %s', '%s in under a minute', 'Part 2: %s', 'You asked for %s',
            'Wait for it… %s', 'What %s taught me', 'Three mistakes with %s', 'Day 14 of %s',
            'Is it just me, or is %s underrated?', 'Rating %s', 'Why everyone talks about %s',
            'My mum reacts to %s'
        ]
        when 'hashtag' then array[
            'fyp', 'learnontok', 'smallwins', 'dayinmylife', 'tutorial', 'pov', 'relatable',
            'tips', 'behindthescenes', 'weekend'
        ]
        when 'first_name' then array[
            'ada', 'amir', 'bela', 'chen', 'dario', 'elif', 'femi', 'greta', 'hugo', 'ines',
            'jonas', 'kaya', 'lena', 'milo', 'nadia', 'oskar', 'priya', 'rosa', 'sami', 'tomas',
            'uma', 'vera', 'wanda', 'yuki', 'zoe'
        ]
        when 'adjective' then array[
            'quiet', 'sunny', 'lucky', 'velvet', 'paper', 'midnight', 'golden', 'electric',
            'lazy', 'silver', 'northern', 'tiny', 'honest', 'wild', 'borrowed', 'neon'
        ]
        when 'noun' then array[
            'otter', 'tram', 'harbour', 'lemon', 'radio', 'summer', 'bicycle', 'window',
            'river', 'sparrow', 'kitchen', 'comet', 'garden', 'lantern', 'staircase', 'cloud'
        ]
        when 'comment' then array[
            'this made my day', 'how is this so good', 'saving this for later',
            'I tried it and it works', 'part 3 please', 'the ending!!', 'wait, what?',
            'sending this to my sister', 'underrated', 'okay this is actually useful',
            'I have watched this ten times', 'teach me'
        ]
    end
$$;

comment on function app.generate_words(text) is
'Vocabulary of the generated world: title, hashtag, first_name, adjective, noun or comment.';
