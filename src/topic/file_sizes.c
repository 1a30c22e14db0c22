/*-------------------------------------------------------------------------
 *
 * file_sizes.c
 *	  The directories of the logs of partitions, and the sizes of their files.
 *
 * No partition is locked, so that looking at the disk never waits for an ALTER
 * TABLE. The file system is asked for sizes, and a file that has just gone has
 * none.
 *
 * Sibling: catalog.c (what a topic is).
 *
 * Copyright (c) 2026, the pgtopic authors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/stat.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_tablespace.h"
#include "miscadmin.h"
#include "topic/internal.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/syscache.h"

/*
 * Returns the directory of a tablespace, absolute.  That of pg_default is the
 * data directory.
 */
static char *
place_path(Oid tablespace)
{
	char	   *path = TextDatumGetCString(DirectFunctionCall1(pg_tablespace_location, ObjectIdGetDatum(tablespace)));

	Assert(OidIsValid(tablespace));
	if (path[0] == '\0')
		return pstrdup(DataDir);
	return path[0] == '/' ? path : psprintf("%s/%s", DataDir, path);
}

/*
 * Returns a List of PtPlace *, one for each tablespace in which a table can
 * be.
 */
List *
pt_places(void)
{
	Relation	rel = table_open(TableSpaceRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, TablespaceOidIndexId, true, NULL, 0, NULL);
	List	   *result = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		PtPlace    *place;
		Oid			oid = ((Form_pg_tablespace) GETSTRUCT(tuple))->oid;

		if (oid == GLOBALTABLESPACE_OID)
			continue;			/* has shared catalogs only */
		place = palloc(sizeof(PtPlace));
		place->tablespace = oid;
		place->path = place_path(oid);
		result = lappend(result, place);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/*
 * Returns the bytes of all segments of a file.  Missing ones count as empty.
 */
static int64
file_bytes(const RelFileLocator *locator)
{
	char	   *path = pt_file_path(*locator);
	int64		bytes = 0;

	for (int segment = 0;; segment++)
	{
		struct stat st;

		if (stat(segment == 0 ? path : psprintf("%s.%d", path, segment), &st) != 0)
			return bytes;
		bytes += st.st_size;
	}
}

/*
 * Returns the tablespace of a leaf, and the size of its files in *bytes;
 * InvalidOid if there is no such table.
 */
Oid
pt_leaf_place(Oid leaf, int64 *bytes)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(leaf));
	RelFileLocator locator;
	Form_pg_class form;

	Assert(bytes != NULL);
	*bytes = 0;
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	form = (Form_pg_class) GETSTRUCT(tuple);
	pt_locator_spc(locator) = OidIsValid(form->reltablespace) ? form->reltablespace : MyDatabaseTableSpace;
	pt_locator_db(locator) = MyDatabaseId;
	pt_locator_number(locator) = form->relfilenode;
	ReleaseSysCache(tuple);
	*bytes = file_bytes(&locator);
	return pt_locator_spc(locator);
}
