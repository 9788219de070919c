"""Knowledge distillation: a student learns from a trained teacher, or from the teacher's outputs, which are stored in the student's run."""
