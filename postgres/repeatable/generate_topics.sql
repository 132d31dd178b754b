-- generate_topics(): what the generated world is about. Subjects finish the titles.
create or replace function app.generate_topics()
returns table (topic_number integer, topic text, subjects text[])
language sql
immutable
as $$
    select
        row_number() over (order by known.topic)::integer,
        known.topic,
        known.subjects
    from (
        values
        (
            'animals',
            array[
                'a rescue greyhound', 'two kittens', 'our grumpy parrot', 'a baby goat',
                'the neighbour''s cat', 'a very round hamster', 'street dogs', 'an otter'
            ]
        ),
        (
            'beauty',
            array[
                'everyday eyeliner', 'curly hair', 'a five-minute look', 'drugstore skincare',
                'press-on nails', 'glass skin', 'a wedding look', 'red lipstick'
            ]
        ),
        (
            'comedy',
            array[
                'my landlord', 'group chats', 'airport security', 'family dinners',
                'the office printer', 'first dates', 'gym people', 'my phone battery'
            ]
        ),
        (
            'cooking',
            array[
                'sourdough', 'weeknight ramen', 'crispy tofu', 'grandma''s dumplings',
                'one-pan pasta', 'mango sticky rice', 'birria tacos', 'shakshuka'
            ]
        ),
        (
            'dance',
            array[
                'this shuffle', 'a salsa turn', 'the slow version', 'popping basics',
                'our wedding dance', 'this combo', 'bachata footwork', 'a moonwalk'
            ]
        ),
        (
            'fitness',
            array[
                'pull-ups', 'ten minutes of mobility', 'my first 10k', 'kettlebells',
                'handstands', 'leg day', 'desk stretches', 'cold plunges'
            ]
        ),
        (
            'football',
            array[
                'a rabona', 'Sunday league', 'this free kick', 'goalkeeper drills',
                'the offside rule', 'street football', 'a nutmeg', 'penalties'
            ]
        ),
        (
            'gardening',
            array[
                'balcony tomatoes', 'a worm bin', 'orchids', 'seed bombs', 'a tiny pond',
                'garlic in November', 'monstera cuttings', 'a wild lawn'
            ]
        ),
        (
            'music',
            array[
                'this chord', 'a loop pedal', 'street piano', 'the bass line',
                'four-part harmony', 'a broken guitar', 'drumming on pans', 'lo-fi beats'
            ]
        ),
        (
            'science',
            array[
                'why ice floats', 'black holes', 'magnets', 'a slime mould', 'the moon illusion',
                'static electricity', 'octopus brains', 'soap films'
            ]
        ),
        (
            'tech',
            array[
                'a mechanical keyboard', 'spreadsheets', 'my home server', 'an e-ink screen',
                'regular expressions', 'a tiny robot arm', 'retro consoles', 'solar chargers'
            ]
        ),
        (
            'travel',
            array[
                'Lisbon on foot', 'night trains', 'Georgian villages', 'a hut in Norway',
                'Hanoi at 5 am', 'packing light', 'ferries in Greece', 'Oaxaca markets'
            ]
        )
    ) as known (topic, subjects)
$$;

comment on function app.generate_topics() is
'One row per topic of the generated world, with the subjects its titles are about.';
