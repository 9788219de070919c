"""What a student learns from: a trained teacher, and the teacher's outputs stored in the student's run."""
