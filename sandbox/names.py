"""Invented stock for the generator: names of people, schools and subjects, area codes. Lists only."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FEMININE = _words(
    """
    Abigail Ada Adriana Aisha Alejandra Alice Alma Amara Amelia Amina Amy Ana Anaïs Andrea Angela Anh Anna Ariana
    Asha Ashley Aurora Ava Beatriz Bella Beth Bianca Brenda Bridget Camila Carla Carmen Caroline Catalina Cecilia
    Celeste Chloe Chloé Claire Clara Corinne Dalia Daniela Daphne Deborah Delia Diana Dolores Dora Edith Eileen
    Elena Elisa Eliza Ella Ellen Eloise Elsa Emiko Emilia Emma Esme Esperanza Esther Eva Farah Fatima Felicia
    Fiona Flora Frances Freya Gabriela Gemma Georgia Gloria Grace Greta Gwendolyn Hana Hannah Harriet Hazel Helen
    Imani Imogen Ines Ingrid Irene Iris Isabel Ivy Jade Jamila Jane Jasmine Joan Josefina Joy Juana Judith Julia
    June Kaia Karen Keiko Kim Lakshmi Laila Laura Leah Leila Lena Leticia Lila Linh Lorena Lucía Lucy Luz Lydia
    Mabel Maeve Mai Marcela Margot Maribel Marisol Martha Matilda Maya Mei Mercedes Mina Miriam Mónica Nadia Naomi
    Natalia Nell Nia Nina Noor Nora Norma Odette Olive Olivia Ophelia Paloma Patricia Paula Pearl Penelope Phoebe
    Pilar Priya Rachel Ramona Renata Renée Rita Rosa Rosalind Rose Ruth Sabina Sadie Salma Samira Sandra Sara
    Selma Serena Shreya Silvia Simone Sofía Sonia Stella Susana Sylvia Tamara Teresa Thea Theresa Thuy Uma Valeria
    Vera Veronica Viola Violet Vivian Wanda Willa Xiomara Yasmin Yolanda Yuki Zara Zelda Zoe
    """
)

MASCULINE = _words(
    """
    Aaron Abdul Adam Adrián Ahmed Alan Albert Alberto Alejandro Ali Amir Andre Andrés Angus Anton Antonio Armando
    Arthur Arturo Asher August Barnaby Basil Beckett Benito Benjamin Bernard Brendan Bruno Caleb Calvin Carlos
    Cedric César Clarence Clark Colin Conrad Cyrus Damian Daniel Darius David Desmond Diego Dimitri Dominic Duncan
    Edgar Eduardo Edwin Elias Elijah Elliot Emeka Emil Emmanuel Enrique Ernesto Esteban Ethan Eugene Evan Ezra
    Fabian Felix Fernando Finn Francisco Frank Gabriel Garrett Gavin George Gerald Gilbert Giovanni Gordon Graham
    Grant Gregory Guillermo Gustavo Hamza Harold Harvey Hassan Hector Henry Hiro Hugo Ian Ibrahim Ignacio Isaac
    Isaiah Ismael Ivan Jack Jacob Jaime Jalen Jamal James Javier Jerome Jesse Joaquín Joel Jonah Jorge José Joseph
    Juan Julian Julio Kareem Keith Kenji Kenneth Kevin Kofi Kwame Lamar Lars Leander Leo Leon Leonardo Liam Lloyd
    Lorenzo Louis Lucas Luis Luther Magnus Malcolm Manuel Marco Marcus Mario Martin Marvin Mateo Matthew Maurice
    Maxwell Miguel Miles Milo Minh Mohammed Moses Nathan Neil Nestor Nicolás Nikolai Noah Octavio Oliver Omar
    Orlando Oscar Otis Otto Pablo Patrick Paul Pedro Peter Philip Quentin Rafael Rajesh Ralph Ramón Raúl Raymond
    Reuben Ricardo Robert Roberto Rodrigo Roland Roman Rowan Rubén Rufus Russell Salvador Samir Samuel Santiago
    Saul Sebastian Sergio Seth Silas Simon Stefan Stephen Sven Tadeo Tariq Theodore Thomas Tobias Tomás Trung
    Tyrone Vicente Victor Vikram Vincent Walter Warren Wei Wendell Wesley Xavier Yusuf Zachary
    """
)

_ONE_WORD = _words(
    """
    Abara Abbott Abernathy Acosta Adebayo Aguilar Ahmadi Albright Alcántara Aldridge Alvarado Amador Andersen
    Appleby Aquino Arroyo Ashworth Avila Ayala Bailey Banerjee Barlow Barrera Barrios Bautista Beaumont Bedford
    Bell Beltrán Benítez Bergstrom Bhatt Blackwood Bloom Bonilla Bowers Bradshaw Brandt Brennan Bridges Briones
    Bui Burke Bustos Cabrera Caldwell Calloway Campos Cárdenas Carmichael Carver Castañeda Castillo Cervantes
    Chandra Chaudhry Chavez Cho Chowdhury Clayborne Clement Cohen Colón Conway Cordero Corrigan Cortez Crawford
    Cruz Cunningham Dalton Dang Davenport Dawson Delacroix Delgado Desai Diallo Dimitrov Dixon Dominguez Donovan
    Dorsey Doyle Duarte Dubois Duong Duval Eastman Echeverría Edwards Ellery Emerson Enríquez Eriksen Escobar
    Espinoza Estrada Fairbanks Farrell Faulkner Fenwick Figueroa Finch Fischer Fitzgerald Flores Fonseca Forsyth
    Franco Fuentes Fujita Gaines Galindo Gallagher Gamboa Garland Garrido Gaspar Gentry Ghosh Gilmore Godfrey
    Goldberg Gómez Goodwin Gould Granger Greenwood Griffith Guerrero Gupta Gutiérrez Guzmán Haddad Hale Halloran
    Hammond Hardwick Hargrove Haruna Hashimoto Hawthorne Hayashi Henderson Hernández Herrera Hidalgo Higgins
    Hinojosa Hoang Hoffman Holloway Huang Hughes Huntley Hussain Hutchins Ibarra Iglesias Ingram Irving Iyer
    Jaramillo Jefferies Jensen Jiménez Joshi Juárez Kane Kapoor Kaur Keating Kelleher Kendrick Khan Kimura Kirby
    Knox Kowalski Kruger Kumar Lambert Langley Lara Larkin Lassiter Le Leclair Leighton Lindgren Lockhart Longoria
    López Lozano Lucero Luna Lynch Macdonald Machado Madden Malone Mancini Marchetti Márquez Marsh Mathur Mayfield
    McAllister McBride McKenna Medina Mehta Mejía Mendoza Mercado Merrick Middleton Mistry Molina Montgomery
    Montoya Morales Moreno Morimoto Mosley Muñoz Murphy Naidoo Nakamura Navarro Nazari Newcomb Ngo Nguyen Nielsen
    Noland Novak Núñez Nwosu O'Brien O'Connor O'Hara O'Leary Oakley Obi Ochoa Okafor Okoye Olivares Olsson Ortega
    Osborne Osei Pacheco Padilla Palmer Park Parrish Patel Pemberton Peña Pereira Pérez Peterson Pham Pickett
    Pineda Ponce Porter Prescott Quigley Quintana Quiroz Radcliffe Rahman Ramírez Ramsey Rangel Rao Rasmussen
    Redmond Reyes Rhodes Ríos Rivera Robles Rojas Romero Rosales Rosario Rossi Rutherford Saavedra Salazar Saleh
    Salinas Sandoval Santiago Sato Savage Schneider Sepúlveda Serrano Shah Sharma Shepherd Siddiqui Silva Sinclair
    Singh Solís Sorensen Soto Stafford Sterling Stokes Suárez Sullivan Sutherland Suzuki Tanaka Tate Tavares
    Thatcher Thornton Tolentino Torres Tran Trejo Trujillo Tucker Underhill Urbina Valdez Valencia Vance Varga
    Vargas Vasquez Vaughn Vega Velasco Verma Vickers Villanueva Vo Wade Wagner Wainwright Walsh Ware Watkins
    Weaver Webster Weiss Whitaker Whitfield Wilder Winslow Wolfe Woodward Wu Xiong Yamada Yang Yates York Young
    Zamora Zapata Zavala Zhang Zhou Zielinski Zúñiga
    """
)

LAST = (*_ONE_WORD, "de la Cruz", "St. Clair", "Reyes-Ortega", "Kim-Walker")

SCHOOLS = _words(
    """
    Lincoln Roosevelt Jefferson Washington Adams Madison Monroe Jackson Harrison Garfield Cleveland Franklin
    Hamilton Douglass Tubman Truth Whitman Emerson Thoreau Longfellow Twain Hawthorne Dickinson Cather Alcott
    Bradbury Carver Banneker Fulton Edison Bell Wright Earhart Ride Armstrong Aldrin Glenn Curie Darwin Galileo
    Newton Kepler Riverside Lakeview Hillside Meadowbrook Oakwood Maplewood Pinecrest Cedargrove Willowcreek
    Birchwood Elmwood Aspen Sequoia Juniper Sycamore Magnolia Rosewood Stonebridge Fairview Grandview Westbrook
    Eastgate Northfield Southridge Harborview Bayside Seaside Clearwater Springfield Summit Highland Prairie
    Canyon Mesa Valley Ridgeline Sunset Sunrise Liberty Heritage Pioneer Frontier Centennial Horizon Discovery
    Endeavor Harmony Unity Legacy
    """
)

REGIONS = ("", "North ", "South ", "East ", "West ", "New ", "Upper ", "Lower ", "Old ", "Central ")

# School level, lowest and highest grade (kindergarten is 0), subjects.
LEVELS = (
    ("High School", 9, 12),
    ("Middle School", 6, 8),
    ("Elementary School", 0, 5),
)

# By level, in the order of LEVELS, equally many of each. Some hold commas and quotes, as real class names do.
SUBJECTS = (
    (
        "Algebra I",
        "Geometry",
        "Algebra II",
        "Statistics",
        "Biology",
        "Chemistry",
        "Physics",
        "World History",
        "U.S. History",
        "Government & Economics",
        "English 9",
        "English 10",
        "American Literature",
        "Spanish I",
        "French I",
        "Ceramics",
        "Theater, Stagecraft",
        "Physical Education",
        "Computer Science",
        'Robotics "Makers" Lab',
    ),
    (
        "Math 6",
        "Math 7",
        "Pre-Algebra",
        "Life Science",
        "Earth Science",
        "Physical Science",
        "Ancient History",
        "Geography",
        "Civics",
        "English Language Arts",
        "Reading Workshop",
        "Creative Writing",
        "Spanish Exploratory",
        "Drawing, Painting",
        "Band",
        "Choir",
        "Physical Education",
        "Health",
        "Coding Basics",
        'Homeroom "Owls"',
    ),
    (
        "Homeroom",
        "Reading",
        "Phonics",
        "Writing",
        "Mathematics",
        "Number Sense",
        "Science",
        "Social Studies",
        "Art",
        "Music",
        "Movement",
        "Library",
        "Garden, Nature",
        "Story Time",
        "English Learners",
        "Spanish for Families",
        "Math Club",
        "Recorder",
        "Health",
        'After School "Sparks"',
    ),
)

LANGUAGES = ("en", "en", "en", "en", "en", "en", "en", "es", "es", "es", "vi", "zh", "ar", "tl")

# US area codes under which phonenumbers accepts 555-0000 to 555-9999; 555-0100 to 555-0199 are kept for fiction.
AREA_CODES = _words(
    """
    201 202 203 205 206 207 208 209 210 212 213 214 215 216 217 218 219 220 223 224 225 227 228 229 231 234 239
    240 248 251 252 253 254 256 260 262 267 269 270 272 274 276 279 281 283 301 302 303 304 305 307 308 309 310
    312 313 314 315 316 317 318 319 320 321 323 325 326 327 329 330 331 332 334 336 337 339 341 346 347 350 351
    352 353 360 361 363 364 369 380 385 386 401 402 404 405 406 407 408 409 410 412 413 414 415 417 419 423 424
    425 430 432 434 435 440 442 443 445 447 448 458 463 464 469 470 472 475 478 479 480 484 501 502 503 504 505
    507 508 509 510 512 513 515 516 517 518 520 530 531 534 539 540 541 551 557 559 561 562 563 564 567 570 571
    572 573 574 575 580 582 585 586 601 602 603 605 606 607 608 609 610 612 614 615 616 617 618 619 620 623 626
    628 629 630 631 636 640 641 645 646 650 651 656 657 659 660 661 662 667 669 678 680 681 682 686 689 701 702
    703 704 706 707 708 712 713 714 715 716 717 718 719 720 724 725 726 727 728 730 731 732 734 737 738 740 743
    747 754 757 760 762 763 765 769 770 771 772 773 774 775 779 781 785 786 801 802 803 804 805 806 808 810 812
    813 814 815 816 817 818 820 821 826 828 830 831 832 835 838 839 840 843 845 847 848 850 854 856 857 858 859
    860 862 863 864 865 870 872 878 901 903 904
    """
)
