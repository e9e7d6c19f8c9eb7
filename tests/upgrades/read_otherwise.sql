-- An installation of Rollcall 0.1 (schema 0003) after a first night of files with IDs, grades, dates and guardians
-- that it read otherwise than today: the files are those in tests/upgrades/night1. Everybody is invented.
BEGIN TRANSACTION;
CREATE TABLE acceptance (
	id INTEGER NOT NULL, 
	link_id VARCHAR NOT NULL, 
	code VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	decision_id INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(decision_id) REFERENCES decision (id), 
	FOREIGN KEY(link_id) REFERENCES link (id), 
	UNIQUE (link_id, code)
);
CREATE TABLE account (
	id VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	first_name VARCHAR, 
	last_name VARCHAR, 
	email VARCHAR, 
	phone VARCHAR, 
	phone_extension VARCHAR, 
	birth_date DATE, 
	grade VARCHAR, 
	language VARCHAR, 
	district_id VARCHAR, 
	created_at DATETIME NOT NULL, 
	archived_at DATETIME, claimed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id)
);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1305712500d','guardian','Pat','O''Brien',NULL,'+14155557000',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a104e0dbc76d','student','Kid4','Fam4',NULL,NULL,NULL,'2014-04-04','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1021c389c1b','student','Kid2','Fam2',NULL,NULL,NULL,'2014-02-02','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a118019db713','student','Kid24','Fam24',NULL,NULL,NULL,'2014-12-24','1',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11aff64c308','student','Kid26','Fam26',NULL,NULL,NULL,'2014-02-26','12',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a119b9c3334e','student','Kid25','Fam25',NULL,NULL,NULL,'2014-01-25','10',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a101ff841dca','student','Kid1','Fam1',NULL,NULL,NULL,'2014-01-01','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10653466429','student','Kid6','Fam6',NULL,NULL,NULL,'2014-06-06','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1160779a694','student','Kid22','Fam22',NULL,NULL,NULL,'2014-10-22','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10a97adc179','student','Kid10','Fam10',NULL,NULL,NULL,'2014-10-10','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11537b34ab9','student','Kid21','Fam21',NULL,NULL,NULL,'2014-09-21','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11b43020131','student','Kid27','Fam27',NULL,NULL,NULL,'2014-03-09','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10f8b2d95f3','student','Kid15','Fam15',NULL,NULL,NULL,'2014-03-15','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a114654a7526','student','Kid20','Fam20',NULL,NULL,NULL,'2014-08-20','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10be305c09e','student','Kid11','Fam11',NULL,NULL,NULL,'2014-11-11','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a103c590b927','student','Kid3','Fam3',NULL,NULL,NULL,'2014-03-03','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11eb5f8e38c','student','Kid30','Fam30',NULL,NULL,NULL,'2014-06-02','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10c9af00f3d','student','Kid12','Fam12',NULL,NULL,NULL,'2014-12-12','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10eae53579e','student','Kid14','Fam14',NULL,NULL,NULL,'2014-02-14','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10d4ff97a1c','student','Kid13','Fam13',NULL,NULL,NULL,'2014-01-13','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a131e4a7c59b','guardian','Pat','O’Brien',NULL,'+14155557000',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1179eeb32f1','student','Kid23','Fam23',NULL,NULL,NULL,'2014-11-23','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1136f7dc7b7','student','Kid19','Fam19',NULL,NULL,NULL,'2014-07-19','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1113539ebd5','student','Kid17','Fam17',NULL,NULL,NULL,'2014-05-17','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a110ab5ff6aa','student','Kid16','Fam16',NULL,NULL,NULL,'2014-04-16','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10858535ff5','student','Kid8','Fam8',NULL,NULL,NULL,'2014-08-08','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1059c509e95','student','Kid5','Fam5',NULL,NULL,NULL,'2014-05-05','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11d674e6abd','student','Kid29','Fam29',NULL,NULL,NULL,'2014-05-01','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a10970730531','student','Kid9','Fam9',NULL,NULL,NULL,'2014-09-09','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a107c52da7f3','student','Kid7','Fam7',NULL,NULL,NULL,'2014-07-07','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1126e76a148','student','Kid18','Fam18',NULL,NULL,NULL,'2014-06-18','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11f6721c289','guardian','Par1','Fam1','par10@mail.example','+14155550001',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a120fffd9ca9','guardian','Par13','Fam13','par13@mail.example','+14155550013',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a121f4c6ad64','guardian','Par14','Fam14','par14@mail.example','+14155550014',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12206a73f3c','guardian','Par15','Fam15','par15@mail.example','+14155550015',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1237fe54ed2','guardian','Par16','Fam16','par16@mail.example','+14155550016',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12411afd315','guardian','Par17','Fam17','par17@mail.example','+14155550017',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a125c99e9a38','guardian','Par18','Fam18','par18@mail.example','+14155550018',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12628b758ce','guardian','Par19','Fam19','par19@mail.example','+14155550019',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a127118842f2','guardian','Par20','Fam20','par20@mail.example','+14155550020',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a128135cc449','guardian','Par21','Fam21','par21@mail.example','+14155550021',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a129d0e818da','guardian','Par22','Fam22','par22@mail.example','+14155550022',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12ade489de5','guardian','Par23','Fam23','par23@mail.example','+14155550023',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12b38c02483','guardian','Par24','Fam24','par24@mail.example','+14155550024',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12c18fc6e7b','guardian','Par25','Fam25','par25@mail.example','+14155550025',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12dd4c73530','guardian','Par26','Fam26','par26@mail.example','+14155550026',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12e7b51b9f9','guardian','Par27','Fam27','par27@mail.example','+14155550027',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a12f011e5996','guardian','Par28','Fam28','par28@mail.example','+14155550028',NULL,NULL,NULL,'en',NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a0fd378657ff','teacher','Tea1','Cher1','tea1@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a0fe6282dc61','teacher','Tea2','Cher2','tea2@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a0ffce0131a5','teacher','Tea3','Cher3','tea3@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a1000696282a','teacher','Tea4','Cher4','tea4@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
INSERT INTO "account" VALUES('01a2136b-238d-75b1-9c89-a11cd409c43c','student','Kid28','Fam28','​kid28@birch.example',NULL,NULL,'2014-04-28','5',NULL,NULL,'2026-11-25 15:55:18.505017',NULL,NULL);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE class (
	id VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	school_id VARCHAR NOT NULL, 
	source_id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	claimed BOOLEAN NOT NULL, 
	archived_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(school_id) REFERENCES school (id), 
	FOREIGN KEY(source) REFERENCES source (id), 
	UNIQUE (source, school_id, source_id)
);
INSERT INTO "class" VALUES('01a2136b-23b0-76f7-a002-81973e2d91fc','d/files','d/birch','C001','Room 1',0,NULL);
INSERT INTO "class" VALUES('01a2136b-23b0-76f7-a002-8198b65e2ab1','d/files','d/birch','C002','Room 2',0,NULL);
INSERT INTO "class" VALUES('01a2136b-23b0-76f7-a002-81994ba35106','d/files','d/birch','C003','Room 3',0,NULL);
INSERT INTO "class" VALUES('01a2136b-23b0-76f7-a002-819a53eb5e58','d/files','d/birch','C004​','Room 4',0,NULL);
CREATE TABLE "class_membership" (
	id VARCHAR NOT NULL, 
	class_id VARCHAR NOT NULL, 
	link_id VARCHAR NOT NULL, 
	is_owner BOOLEAN NOT NULL, 
	active BOOLEAN NOT NULL, 
	left_at DATETIME, 
	by_choice BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(class_id) REFERENCES class (id), 
	FOREIGN KEY(link_id) REFERENCES link (id), 
	UNIQUE (class_id, link_id)
);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c0765f2564','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-14016c1b855a',1,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c1b3e8b260','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-141a5494b264',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c251352d99','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-1412c62b415e',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c39d1c70a4','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-1418adc4b19b',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c463c088c5','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-141fec259baf',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c5dadbfc10','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-1415269b484a',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c6a520eece','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-1416ef3b17f6',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c7fcd365f4','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-141009361eb8',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c8af40bb3e','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-14077502af39',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76c9e15fcf6a','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-140fba5c83f4',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76ca57ca72ba','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-1417bcb650bc',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76cbb9ef3fb4','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-140e6205777d',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76cc3702db30','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-1414d340bc66',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76cdaa5e10a7','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-1420bff434e5',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76ce28b94d7d','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-14198fd128b7',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76cf34330d86','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-140adfbfda60',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d07c991555','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-140859a7a432',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d137f73f14','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-1404ad466613',1,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d2146532cb','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-141e4cdfc59a',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d3287bc3d2','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-140b2adc9509',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d43f954b2c','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-142275b8e0db',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d5b18b0c8f','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-141b61c8b432',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d672a442ab','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-140381fb64d3',1,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d7158fc42b','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-141dd9c30aa8',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d85d9d918e','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-140d82ee292b',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76d9d1ca697d','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-140c0b91628b',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76da7e197c26','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-14212e327262',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76db1a51a38c','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-1409e382a77d',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76dc61d7b00e','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-140645d09af5',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76dd9a1f9496','01a2136b-23b0-76f7-a002-81994ba35106','01a2136b-238b-7356-bc2b-1413fb9d89c1',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76de7a3f6095','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-14058888f401',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76dfa163fa38','01a2136b-23b0-76f7-a002-81973e2d91fc','01a2136b-238b-7356-bc2b-14119a7cbf46',0,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76e0eb2244f7','01a2136b-23b0-76f7-a002-8198b65e2ab1','01a2136b-238b-7356-bc2b-14026ca42065',1,1,NULL,0);
INSERT INTO "class_membership" VALUES('01a2136b-23c7-72d4-8ea9-76e174df8a4a','01a2136b-23b0-76f7-a002-819a53eb5e58','01a2136b-238b-7356-bc2b-141c5dc7ea26',0,1,NULL,0);
CREATE TABLE decision (
	id INTEGER NOT NULL, 
	hold_id INTEGER NOT NULL, 
	verb VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	applied_at DATETIME, why VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(hold_id) REFERENCES hold (id)
);
CREATE TABLE "delivery" (
	id INTEGER NOT NULL, 
	source_id VARCHAR NOT NULL, 
	taken_at DATETIME NOT NULL, 
	outcome VARCHAR NOT NULL, 
	format VARCHAR NOT NULL, 
	digest VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	files JSON, 
	receipts INTEGER NOT NULL, 
	received_at DATETIME NOT NULL, 
	may_remove BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(source_id) REFERENCES source (id)
);
INSERT INTO "delivery" VALUES(1,'d/files','2026-11-25 15:55:16.659191','clean','csv-1.0','f567615dc000f6a1443fc4d3a06186f504acc7271b8c043f52c22aa3bc6bfc57','d/files/20261125T155516Z-3ee2809d','[{"name": "classes.csv", "size": 135, "sha256": "3d3ab474989db1d036ca5cba6391a0c5a4367e4b408b31feeb54853ce20aa370", "rows": 4}, {"name": "enrollments.csv", "size": 570, "sha256": "0a1f18a84a926a88cd0e76ed0dc3c6c3285ff38ead3482b2462fd133c74500d5", "rows": 30}, {"name": "schools.csv", "size": 48, "sha256": "7c1d0c75eb906ad8c66805181b043fc7fe7f1eacb5ee5e33d3576e123ad01c11", "rows": 1}, {"name": "students.csv", "size": 3487, "sha256": "38dfe5e4582d096b34c57ff774bf444036ae9ac6a911c6907d69d27ac67808bf", "rows": 30}, {"name": "teachers.csv", "size": 221, "sha256": "7be12546682dc9c360cd7c920dc53dcf78cb6870f2efca36b0a10815171779ae", "rows": 4}]',0,'2026-11-25 15:55:16.659191',1);
CREATE TABLE "district" (
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	timezone VARCHAR NOT NULL, 
	phone_region VARCHAR NOT NULL, 
	administrators JSON NOT NULL, 
	position INTEGER NOT NULL, 
	frozen BOOLEAN NOT NULL, 
	rostering_enforcement BOOLEAN NOT NULL, 
	limits JSON, 
	PRIMARY KEY (id)
);
INSERT INTO "district" VALUES('d','Birch Unified','America/Los_Angeles','US','["it@birch.example"]',0,0,0,NULL);
CREATE TABLE file_error (
	id INTEGER NOT NULL, 
	source_id VARCHAR NOT NULL, 
	delivery_id INTEGER, 
	code VARCHAR NOT NULL, 
	file VARCHAR NOT NULL, 
	line INTEGER, 
	detail VARCHAR, 
	"row" VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (id), 
	FOREIGN KEY(source_id) REFERENCES source (id)
);
CREATE TABLE guardianship (
	id VARCHAR NOT NULL, 
	student_link_id VARCHAR NOT NULL, 
	guardian_link_id VARCHAR NOT NULL, 
	relationship VARCHAR, 
	type VARCHAR, 
	active BOOLEAN NOT NULL, 
	left_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(guardian_link_id) REFERENCES link (id), 
	FOREIGN KEY(student_link_id) REFERENCES link (id), 
	UNIQUE (student_link_id, guardian_link_id)
);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbaa56a139e','01a2136b-238b-7356-bc2b-1417bcb650bc','01a2136b-238b-7356-bc2b-142ad62b7b79','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fabcb7ce5f4','01a2136b-238b-7356-bc2b-1415269b484a','01a2136b-238b-7356-bc2b-1428b25ee692','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb2533cacfb','01a2136b-238b-7356-bc2b-140e6205777d','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fc1013232d6','01a2136b-238b-7356-bc2b-1416ef3b17f6','01a2136b-238b-7356-bc2b-14290744cbf4','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2facd16ae32a','01a2136b-238b-7356-bc2b-140fba5c83f4','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb1ab3fa6c9','01a2136b-238b-7356-bc2b-141c5dc7ea26','01a2136b-238b-7356-bc2b-142f43be81d9','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb5e72fd221','01a2136b-238b-7356-bc2b-142275b8e0db','01a2136b-238b-7356-bc2b-1435ac369e1e','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbe28f9da0b','01a2136b-238b-7356-bc2b-141b61c8b432','01a2136b-238b-7356-bc2b-142ed5d1016e','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa6d5c694d1','01a2136b-238b-7356-bc2b-140859a7a432','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbd206498cd','01a2136b-238b-7356-bc2b-14198fd128b7','01a2136b-238b-7356-bc2b-142c9567ac74','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbb51dd2602','01a2136b-238b-7356-bc2b-140adfbfda60','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa5032c11d0','01a2136b-238b-7356-bc2b-141dd9c30aa8','01a2136b-238b-7356-bc2b-143086f88f12','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa7b597aa0c','01a2136b-238b-7356-bc2b-140c0b91628b','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb35134833a','01a2136b-238b-7356-bc2b-1413fb9d89c1','01a2136b-238b-7356-bc2b-1426c6d35d5f','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fc094fcd6e0','01a2136b-238b-7356-bc2b-141e4cdfc59a','01a2136b-238b-7356-bc2b-1431165607e7','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2faf5276de69','01a2136b-238b-7356-bc2b-140645d09af5','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbcfa4e7230','01a2136b-238b-7356-bc2b-141009361eb8','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb8012b5698','01a2136b-238b-7356-bc2b-1414d340bc66','01a2136b-238b-7356-bc2b-1427af6d2531','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb61ce0c248','01a2136b-238b-7356-bc2b-1418adc4b19b','01a2136b-238b-7356-bc2b-142b365f60d5','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb99ff5e37a','01a2136b-238b-7356-bc2b-1420bff434e5','01a2136b-238b-7356-bc2b-14333d43798a','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fbf36df68e2','01a2136b-238b-7356-bc2b-140b2adc9509','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2faebd087907','01a2136b-238b-7356-bc2b-14077502af39','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa4df6f4136','01a2136b-238b-7356-bc2b-141fec259baf','01a2136b-238b-7356-bc2b-1432c32252d5','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa8b0ceea03','01a2136b-238b-7356-bc2b-1409e382a77d','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fa95c7363d9','01a2136b-238b-7356-bc2b-14058888f401','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb75d28d5ca','01a2136b-238b-7356-bc2b-14119a7cbf46','01a2136b-238b-7356-bc2b-1424e864eab8','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb067bd66a2','01a2136b-238b-7356-bc2b-1412c62b415e','01a2136b-238b-7356-bc2b-1425eabf4e9e','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fb4e0cfeefd','01a2136b-238b-7356-bc2b-141a5494b264','01a2136b-238b-7356-bc2b-142d408c8b92','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2faaf4e4fffa','01a2136b-238b-7356-bc2b-140d82ee292b','01a2136b-238b-7356-bc2b-142320b1cb73','Mother','Parent/Guardian',1,NULL);
INSERT INTO "guardianship" VALUES('01a2136b-23e5-7537-a8ea-2fad92c5e856','01a2136b-238b-7356-bc2b-14212e327262','01a2136b-238b-7356-bc2b-1434a442fa08','Mother','Parent/Guardian',1,NULL);
CREATE TABLE hold (
	id INTEGER NOT NULL, 
	school_id VARCHAR NOT NULL, 
	run_id INTEGER, 
	delivery_id INTEGER, 
	opened_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	ending VARCHAR, 
	replaces_id INTEGER, 
	digest VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (id), 
	FOREIGN KEY(replaces_id) REFERENCES hold (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(school_id) REFERENCES school (id)
);
CREATE TABLE "hold_item" (
	id INTEGER NOT NULL, 
	hold_id INTEGER NOT NULL, 
	type VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	record_id VARCHAR, 
	other_id VARCHAR, 
	name VARCHAR, 
	code VARCHAR NOT NULL, 
	new_id VARCHAR, 
	field VARCHAR, 
	"before" VARCHAR, 
	"after" VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(hold_id) REFERENCES hold (id)
);
CREATE TABLE hold_reason (
	id INTEGER NOT NULL, 
	hold_id INTEGER NOT NULL, 
	code VARCHAR NOT NULL, 
	since DATETIME NOT NULL, 
	counts JSON, detail VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(hold_id) REFERENCES hold (id), 
	UNIQUE (hold_id, code)
);
CREATE TABLE issue (
	id INTEGER NOT NULL, 
	source VARCHAR NOT NULL, 
	school_id VARCHAR, 
	code VARCHAR NOT NULL, 
	file VARCHAR NOT NULL, 
	line INTEGER, 
	record_id VARCHAR, 
	detail VARCHAR, 
	consequences INTEGER NOT NULL, 
	"row" VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(school_id) REFERENCES school (id), 
	FOREIGN KEY(source) REFERENCES source (id)
);
INSERT INTO "issue" VALUES(1,'d/files','d/birch','duplicate_conflict','students.csv',2,'0','guardian_email, guardian_phone',0,'{"student_id":"000001","school_id":"0101","first_name":"Kid1","last_name":"Fam1","email":null,"phone":null,"birth_date":"2014-01-01","grade":"5","guardian_id":"0","guardian_first_name":"Par1","guardian_last_name":"Fam1","guardian_email":"par1@mail.example","guardian_phone":"4155550001","guardian_relationship":"Mother","guardian_type":"Parent/Guardian","guardian_language":"en"}');
INSERT INTO "issue" VALUES(2,'d/files','d/birch','guardian_names_differ','students.csv',2,'0',NULL,0,'{"student_id":"000001","school_id":"0101","first_name":"Kid1","last_name":"Fam1","email":null,"phone":null,"birth_date":"2014-01-01","grade":"5","guardian_id":"0","guardian_first_name":"Par1","guardian_last_name":"Fam1","guardian_email":"par1@mail.example","guardian_phone":"4155550001","guardian_relationship":"Mother","guardian_type":"Parent/Guardian","guardian_language":"en"}');
CREATE TABLE link (
	id VARCHAR NOT NULL, 
	account_id VARCHAR NOT NULL, 
	source VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	role VARCHAR NOT NULL, 
	source_id VARCHAR, 
	guardian_ids VARCHAR, 
	first_name VARCHAR, 
	last_name VARCHAR, 
	email VARCHAR, 
	phone VARCHAR, 
	phone_extension VARCHAR, 
	birth_date DATE, 
	grade VARCHAR, 
	language VARCHAR, 
	archived_at DATETIME, left_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(account_id) REFERENCES account (id), 
	FOREIGN KEY(source) REFERENCES source (id), 
	UNIQUE (source, kind, source_id)
);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1434a442fa08','01a2136b-238d-75b1-9c89-a1305712500d','d/files','guardian','guardian','01a2136b-238b-7356-bc2b-1434a442fa08',NULL,'Pat','O''Brien',NULL,'+14155557000',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140381fb64d3','01a2136b-238d-75b1-9c89-a0ffce0131a5','d/files','employee','teacher','T003​',NULL,'Tea3','Cher3','tea3@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140859a7a432','01a2136b-238d-75b1-9c89-a104e0dbc76d','d/files','student','student','000004',NULL,'Kid4','Fam4',NULL,NULL,NULL,'2014-04-04','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140645d09af5','01a2136b-238d-75b1-9c89-a1021c389c1b','d/files','student','student','000002',NULL,'Kid2','Fam2',NULL,NULL,NULL,'2014-02-02','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141c5dc7ea26','01a2136b-238d-75b1-9c89-a118019db713','d/files','student','student','000024',NULL,'Kid24','Fam24',NULL,NULL,NULL,'2014-12-24','1',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141e4cdfc59a','01a2136b-238d-75b1-9c89-a11aff64c308','d/files','student','student','000026',NULL,'Kid26','Fam26',NULL,NULL,NULL,'2014-02-26','12',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141dd9c30aa8','01a2136b-238d-75b1-9c89-a119b9c3334e','d/files','student','student','000025',NULL,'Kid25','Fam25',NULL,NULL,NULL,'2014-01-25','10',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1432c32252d5','01a2136b-238d-75b1-9c89-a12e7b51b9f9','d/files','guardian','guardian','G27','G27','Par27','Fam27','par27@mail.example','+14155550027',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14058888f401','01a2136b-238d-75b1-9c89-a101ff841dca','d/files','student','student','000001',NULL,'Kid1','Fam1',NULL,NULL,NULL,'2014-01-01','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142f43be81d9','01a2136b-238d-75b1-9c89-a12b38c02483','d/files','guardian','guardian','G24','G24','Par24','Fam24','par24@mail.example','+14155550024',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140adfbfda60','01a2136b-238d-75b1-9c89-a10653466429','d/files','student','student','000006',NULL,'Kid6','Fam6',NULL,NULL,NULL,'2014-06-06','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142d408c8b92','01a2136b-238d-75b1-9c89-a129d0e818da','d/files','guardian','guardian','G22','G22','Par22','Fam22','par22@mail.example','+14155550022',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14333d43798a','01a2136b-238d-75b1-9c89-a12f011e5996','d/files','guardian','guardian','G28','G28','Par28','Fam28','par28@mail.example','+14155550028',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1420bff434e5','01a2136b-238d-75b1-9c89-a11cd409c43c','d/files','student','student','000028',NULL,'Kid28','Fam28','​kid28@birch.example',NULL,NULL,'2014-04-28','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141a5494b264','01a2136b-238d-75b1-9c89-a1160779a694','d/files','student','student','000022​',NULL,'Kid22','Fam22',NULL,NULL,NULL,'2014-10-22','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142ad62b7b79','01a2136b-238d-75b1-9c89-a12628b758ce','d/files','guardian','guardian','G19​','G19​','Par19','Fam19','par19@mail.example','+14155550019',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140e6205777d','01a2136b-238d-75b1-9c89-a10a97adc179','d/files','student','student','000010',NULL,'Kid10','Fam10',NULL,NULL,NULL,'2014-10-10','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14198fd128b7','01a2136b-238d-75b1-9c89-a11537b34ab9','d/files','student','student','000021​',NULL,'Kid21','Fam21',NULL,NULL,NULL,'2014-09-21','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141fec259baf','01a2136b-238d-75b1-9c89-a11b43020131','d/files','student','student','000027',NULL,'Kid27','Fam27',NULL,NULL,NULL,'2014-03-09','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142c9567ac74','01a2136b-238d-75b1-9c89-a128135cc449','d/files','guardian','guardian','G21','G21','Par21','Fam21','par21@mail.example','+14155550021',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1413fb9d89c1','01a2136b-238d-75b1-9c89-a10f8b2d95f3','d/files','student','student','000015',NULL,'Kid15','Fam15',NULL,NULL,NULL,'2014-03-15','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1418adc4b19b','01a2136b-238d-75b1-9c89-a114654a7526','d/files','student','student','000020',NULL,'Kid20','Fam20',NULL,NULL,NULL,'2014-08-20','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140fba5c83f4','01a2136b-238d-75b1-9c89-a10be305c09e','d/files','student','student','000011',NULL,'Kid11','Fam11',NULL,NULL,NULL,'2014-11-11','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14077502af39','01a2136b-238d-75b1-9c89-a103c590b927','d/files','student','student','000003',NULL,'Kid3','Fam3',NULL,NULL,NULL,'2014-03-03','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142320b1cb73','01a2136b-238d-75b1-9c89-a11f6721c289','d/files','guardian','guardian','0','0','Par1','Fam1','par10@mail.example','+14155550001',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1404ad466613','01a2136b-238d-75b1-9c89-a1000696282a','d/files','employee','teacher','T004',NULL,'Tea4','Cher4','tea4@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142275b8e0db','01a2136b-238d-75b1-9c89-a11eb5f8e38c','d/files','student','student','000030',NULL,'Kid30','Fam30',NULL,NULL,NULL,'2014-06-02','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14016c1b855a','01a2136b-238d-75b1-9c89-a0fd378657ff','d/files','employee','teacher','T001',NULL,'Tea1','Cher1','tea1@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1431165607e7','01a2136b-238d-75b1-9c89-a12dd4c73530','d/files','guardian','guardian','G26','G26','Par26','Fam26','par26@mail.example','+14155550026',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14026ca42065','01a2136b-238d-75b1-9c89-a0fe6282dc61','d/files','employee','teacher','T002',NULL,'Tea2','Cher2','tea2@birch.example',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141009361eb8','01a2136b-238d-75b1-9c89-a10c9af00f3d','d/files','student','student','000012',NULL,'Kid12','Fam12',NULL,NULL,NULL,'2014-12-12','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1412c62b415e','01a2136b-238d-75b1-9c89-a10eae53579e','d/files','student','student','000014',NULL,'Kid14','Fam14',NULL,NULL,NULL,'2014-02-14','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14119a7cbf46','01a2136b-238d-75b1-9c89-a10d4ff97a1c','d/files','student','student','000013',NULL,'Kid13','Fam13',NULL,NULL,NULL,'2014-01-13','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142ed5d1016e','01a2136b-238d-75b1-9c89-a12ade489de5','d/files','guardian','guardian','G23','G23','Par23','Fam23','par23@mail.example','+14155550023',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1435ac369e1e','01a2136b-238d-75b1-9c89-a131e4a7c59b','d/files','guardian','guardian','01a2136b-238b-7356-bc2b-1435ac369e1e',NULL,'Pat','O’Brien',NULL,'+14155557000',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-141b61c8b432','01a2136b-238d-75b1-9c89-a1179eeb32f1','d/files','student','student','000023​',NULL,'Kid23','Fam23',NULL,NULL,NULL,'2014-11-23','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-143086f88f12','01a2136b-238d-75b1-9c89-a12c18fc6e7b','d/files','guardian','guardian','G25','G25','Par25','Fam25','par25@mail.example','+14155550025',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1417bcb650bc','01a2136b-238d-75b1-9c89-a1136f7dc7b7','d/files','student','student','000019',NULL,'Kid19','Fam19',NULL,NULL,NULL,'2014-07-19','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1415269b484a','01a2136b-238d-75b1-9c89-a1113539ebd5','d/files','student','student','000017',NULL,'Kid17','Fam17',NULL,NULL,NULL,'2014-05-17','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1414d340bc66','01a2136b-238d-75b1-9c89-a110ab5ff6aa','d/files','student','student','000016',NULL,'Kid16','Fam16',NULL,NULL,NULL,'2014-04-16','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1424e864eab8','01a2136b-238d-75b1-9c89-a120fffd9ca9','d/files','guardian','guardian','G13​','G13​','Par13','Fam13','par13@mail.example','+14155550013',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140c0b91628b','01a2136b-238d-75b1-9c89-a10858535ff5','d/files','student','student','000008',NULL,'Kid8','Fam8',NULL,NULL,NULL,'2014-08-08','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1409e382a77d','01a2136b-238d-75b1-9c89-a1059c509e95','d/files','student','student','000005',NULL,'Kid5','Fam5',NULL,NULL,NULL,'2014-05-05','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14212e327262','01a2136b-238d-75b1-9c89-a11d674e6abd','d/files','student','student','000029',NULL,'Kid29','Fam29',NULL,NULL,NULL,'2014-05-01','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140d82ee292b','01a2136b-238d-75b1-9c89-a10970730531','d/files','student','student','000009',NULL,'Kid9','Fam9',NULL,NULL,NULL,'2014-09-09','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1428b25ee692','01a2136b-238d-75b1-9c89-a12411afd315','d/files','guardian','guardian','G17​','G17​','Par17','Fam17','par17@mail.example','+14155550017',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1426c6d35d5f','01a2136b-238d-75b1-9c89-a12206a73f3c','d/files','guardian','guardian','G15​','G15​','Par15','Fam15','par15@mail.example','+14155550015',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-140b2adc9509','01a2136b-238d-75b1-9c89-a107c52da7f3','d/files','student','student','000007',NULL,'Kid7','Fam7',NULL,NULL,NULL,'2014-07-07','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1427af6d2531','01a2136b-238d-75b1-9c89-a1237fe54ed2','d/files','guardian','guardian','G16​','G16​','Par16','Fam16','par16@mail.example','+14155550016',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-142b365f60d5','01a2136b-238d-75b1-9c89-a127118842f2','d/files','guardian','guardian','G20​','G20​','Par20','Fam20','par20@mail.example','+14155550020',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1416ef3b17f6','01a2136b-238d-75b1-9c89-a1126e76a148','d/files','student','student','000018',NULL,'Kid18','Fam18',NULL,NULL,NULL,'2014-06-18','5',NULL,NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-14290744cbf4','01a2136b-238d-75b1-9c89-a125c99e9a38','d/files','guardian','guardian','G18​','G18​','Par18','Fam18','par18@mail.example','+14155550018',NULL,NULL,NULL,'en',NULL,NULL);
INSERT INTO "link" VALUES('01a2136b-238b-7356-bc2b-1425eabf4e9e','01a2136b-238d-75b1-9c89-a121f4c6ad64','d/files','guardian','guardian','G14​','G14​','Par14','Fam14','par14@mail.example','+14155550014',NULL,NULL,NULL,'en',NULL,NULL);
CREATE TABLE mail (
	id INTEGER NOT NULL, 
	district_id VARCHAR NOT NULL, 
	message_id VARCHAR NOT NULL, 
	recipients JSON NOT NULL, 
	accepted JSON, 
	subject VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	html VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	sent_at DATETIME, 
	attempts INTEGER NOT NULL, 
	problem VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id), 
	UNIQUE (message_id)
);
CREATE TABLE notice (
	id INTEGER NOT NULL, 
	district_id VARCHAR NOT NULL, 
	run_id INTEGER, 
	school_id VARCHAR, 
	kind VARCHAR NOT NULL, 
	codes JSON, 
	detail VARCHAR, 
	at DATETIME NOT NULL, 
	mail_id INTEGER, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id), 
	FOREIGN KEY(mail_id) REFERENCES mail (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(school_id) REFERENCES school (id)
);
CREATE TABLE pause (
	id INTEGER NOT NULL, 
	district_id VARCHAR, 
	reason VARCHAR NOT NULL, 
	"by" VARCHAR NOT NULL, 
	started_at DATETIME NOT NULL, 
	until DATETIME, 
	ended_at DATETIME, 
	ended_by VARCHAR, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id)
);
CREATE TABLE run (
	id INTEGER NOT NULL, 
	district_id VARCHAR NOT NULL, 
	source_id VARCHAR NOT NULL, 
	delivery_id INTEGER, 
	schools JSON, 
	started_at DATETIME NOT NULL, 
	alive_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	outcome VARCHAR, 
	notes JSON, 
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (id), 
	FOREIGN KEY(district_id) REFERENCES district (id), 
	FOREIGN KEY(source_id) REFERENCES source (id)
);
INSERT INTO "run" VALUES(1,'d','d/files',1,NULL,'2026-11-25 15:55:16.122239','2026-11-25 15:55:16.345000','2026-11-25 15:55:18.607108','done','["delivery 1 taken"]');
CREATE TABLE school (
	id VARCHAR NOT NULL, 
	district_id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	source_id VARCHAR, 
	source_school_id VARCHAR, 
	on_plan BOOLEAN NOT NULL, 
	frozen BOOLEAN NOT NULL, 
	position INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id), 
	FOREIGN KEY(source_id) REFERENCES source (id)
);
INSERT INTO "school" VALUES('d/birch','d','birch','Birchwood Elementary','d/files','0101',1,0,0);
CREATE TABLE school_membership (
	id VARCHAR NOT NULL, 
	link_id VARCHAR NOT NULL, 
	school_id VARCHAR NOT NULL, 
	active BOOLEAN NOT NULL, 
	left_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(link_id) REFERENCES link (id), 
	FOREIGN KEY(school_id) REFERENCES school (id), 
	UNIQUE (link_id, school_id)
);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de3b658d12f3','01a2136b-238b-7356-bc2b-140381fb64d3','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de3ce57474e5','01a2136b-238b-7356-bc2b-141dd9c30aa8','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de3d93a24bfd','01a2136b-238b-7356-bc2b-142275b8e0db','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de3e2f55c3d4','01a2136b-238b-7356-bc2b-1416ef3b17f6','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de3f692356cd','01a2136b-238b-7356-bc2b-141fec259baf','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de406559005a','01a2136b-238b-7356-bc2b-1420bff434e5','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de41021c4ee2','01a2136b-238b-7356-bc2b-141e4cdfc59a','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de42a3f74935','01a2136b-238b-7356-bc2b-140fba5c83f4','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4357b0a81b','01a2136b-238b-7356-bc2b-140645d09af5','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de448d58288c','01a2136b-238b-7356-bc2b-140adfbfda60','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de45abdff51b','01a2136b-238b-7356-bc2b-141009361eb8','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de461489cfa3','01a2136b-238b-7356-bc2b-14198fd128b7','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de477fee9158','01a2136b-238b-7356-bc2b-140e6205777d','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4868131202','01a2136b-238b-7356-bc2b-140b2adc9509','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de490ca854e8','01a2136b-238b-7356-bc2b-1417bcb650bc','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4a77df0ef9','01a2136b-238b-7356-bc2b-1413fb9d89c1','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4ba8bac3d6','01a2136b-238b-7356-bc2b-1409e382a77d','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4c39dfa418','01a2136b-238b-7356-bc2b-141b61c8b432','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4dc28f98af','01a2136b-238b-7356-bc2b-1415269b484a','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4ebe119a08','01a2136b-238b-7356-bc2b-140c0b91628b','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de4faa040128','01a2136b-238b-7356-bc2b-14212e327262','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de5024a65db1','01a2136b-238b-7356-bc2b-140859a7a432','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de51b2537542','01a2136b-238b-7356-bc2b-141c5dc7ea26','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de528ac8242b','01a2136b-238b-7356-bc2b-141a5494b264','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de53de07cf3c','01a2136b-238b-7356-bc2b-14077502af39','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de54c7db1e8f','01a2136b-238b-7356-bc2b-1412c62b415e','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de5565739d02','01a2136b-238b-7356-bc2b-14058888f401','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de567a8650ca','01a2136b-238b-7356-bc2b-14026ca42065','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de57e448dca4','01a2136b-238b-7356-bc2b-1414d340bc66','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de589cdc07b0','01a2136b-238b-7356-bc2b-1418adc4b19b','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de594dd271d0','01a2136b-238b-7356-bc2b-1404ad466613','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de5a5cc9232e','01a2136b-238b-7356-bc2b-14016c1b855a','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de5be7caa6f7','01a2136b-238b-7356-bc2b-140d82ee292b','d/birch',1,NULL);
INSERT INTO "school_membership" VALUES('01a2136b-23a5-7780-b984-de5ce7250bbb','01a2136b-238b-7356-bc2b-14119a7cbf46','d/birch',1,NULL);
CREATE TABLE school_run (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	school_id VARCHAR NOT NULL, 
	source_id VARCHAR NOT NULL, 
	delivery_id INTEGER, 
	at DATETIME NOT NULL, 
	outcome VARCHAR NOT NULL, 
	counts JSON, 
	reasons JSON, 
	digest VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(delivery_id) REFERENCES delivery (id), 
	FOREIGN KEY(run_id) REFERENCES run (id), 
	FOREIGN KEY(school_id) REFERENCES school (id), 
	FOREIGN KEY(source_id) REFERENCES source (id), 
	UNIQUE (run_id, school_id)
);
INSERT INTO "school_run" VALUES(1,1,'d/birch','d/files',1,'2026-11-25 15:55:18.505017','applied','{"class_memberships_create": 34, "classes_create": 4, "employees_create": 4, "guardians_create": 19, "guardianships_create": 30, "students_create": 30}','[]','eacabece0d5b1bb95d5f33e290396666bd7bc4e9cd3b736abb95d8ce36f49891');
CREATE TABLE "source" (
	id VARCHAR NOT NULL, 
	district_id VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	format VARCHAR NOT NULL, 
	folder VARCHAR, 
	quiet_seconds INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	frozen BOOLEAN NOT NULL, 
	stamps JSON, 
	last_taken_id INTEGER, 
	current_delivery_id INTEGER, 
	received_at DATETIME, 
	clever_district_id VARCHAR, 
	last_sync VARCHAR, 
	remote_state VARCHAR, 
	remote_reason VARCHAR, 
	leaves_out_contacts BOOLEAN NOT NULL, 
	stale_noticed_at DATETIME, 
	PRIMARY KEY (id), 
	FOREIGN KEY(district_id) REFERENCES district (id)
);
INSERT INTO "source" VALUES('d/files','d','files','csv','csv-1.0','/installation/drop',300,0,0,'{"teachers.csv": [221, 1795622116097763702, 1795622116097763702], "classes.csv": [135, 1795622116100688413, 1795622116100688413], "students.csv": [3487, 1795622116101624629, 1795622116101624629], "enrollments.csv": [570, 1795622116103033475, 1795622116103033475], "schools.csv": [48, 1795622116103178961, 1795622116103178961]}',1,1,'2026-11-25 15:55:16.659191',NULL,NULL,NULL,NULL,0,NULL);
CREATE TABLE status_change (
	id INTEGER NOT NULL, 
	school_id VARCHAR NOT NULL, 
	at DATETIME NOT NULL, 
	status VARCHAR, 
	reason VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(school_id) REFERENCES school (id)
);
INSERT INTO "status_change" VALUES(1,'d/birch','2026-11-25 15:55:16.005313','setup_sync','the setup was changed');
INSERT INTO "status_change" VALUES(2,'d/birch','2026-11-25 15:55:16.674692','processing','processing delivery 1');
INSERT INTO "status_change" VALUES(3,'d/birch','2026-11-25 15:55:18.505017','connected','delivery 1 applied');
CREATE UNIQUE INDEX account_email_active ON account (email) WHERE archived_at IS NULL;
CREATE INDEX ix_account_district_id ON account (district_id);
CREATE INDEX ix_link_account_id ON link (account_id);
CREATE INDEX ix_school_district_id ON school (district_id);
CREATE INDEX ix_class_school_id ON class (school_id);
CREATE INDEX ix_file_error_delivery_id ON file_error (delivery_id);
CREATE INDEX ix_file_error_source_id ON file_error (source_id);
CREATE INDEX ix_guardianship_guardian_link_id ON guardianship (guardian_link_id);
CREATE INDEX issue_source_school ON issue (source, school_id);
CREATE INDEX ix_run_district_id ON run (district_id);
CREATE UNIQUE INDEX run_open ON run (district_id) WHERE ended_at IS NULL;
CREATE INDEX ix_school_membership_school_id ON school_membership (school_id);
CREATE INDEX status_change_school ON status_change (school_id, id);
CREATE UNIQUE INDEX hold_open ON hold (school_id) WHERE ended_at IS NULL;
CREATE INDEX ix_hold_school_id ON hold (school_id);
CREATE INDEX ix_school_run_school_id ON school_run (school_id);
CREATE INDEX ix_decision_hold_id ON decision (hold_id);
CREATE INDEX ix_pause_district_id ON pause (district_id);
CREATE INDEX ix_delivery_source_id ON delivery (source_id);
CREATE INDEX ix_mail_district_id ON mail (district_id);
CREATE INDEX ix_notice_district_id ON notice (district_id);
CREATE INDEX ix_notice_mail_id ON notice (mail_id);
CREATE INDEX ix_notice_run_id ON notice (run_id);
CREATE INDEX ix_acceptance_decision_id ON acceptance (decision_id);
CREATE INDEX ix_class_membership_link_id ON class_membership (link_id);
CREATE INDEX hold_item_hold ON hold_item (hold_id);
CREATE INDEX ix_source_district_id ON source (district_id);
COMMIT;
