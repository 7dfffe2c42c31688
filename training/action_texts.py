"""Short English texts of what people do, for the text side, one a line.

python training/action_texts.py --count 60000 --output texts.txt
"""

from anymo_hf.training.action_texts import main

if __name__ == "__main__":
    main()
